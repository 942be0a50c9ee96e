"""Make one attempt: send a message to the URL of an endpoint. The only module that sends requests to others.

What the receiver does is not trusted. The connection goes to an address that was checked. Redirects are not followed, proxies of
the environment not used, cookies not kept. Of the response only the status and `Retry-After` are used. A short body is read, as
it comes, so that the connection can be used again; nothing is decompressed. All up to the status has one time limit, however
slowly it comes.
"""

import asyncio
import ssl
import sys
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from importlib.util import find_spec
from time import perf_counter
from typing import NamedTuple

import certifi
import httpx
import structlog

from app.webhooks.destination import BadUrl, BlockedAddress, Rules, Unresolvable, Url, parse_url, resolve_url
from app.webhooks.dispatch import DueDelivery
from app.webhooks.schedule import parse_retry_after
from app.webhooks.signing import live_secrets, sign

log = structlog.get_logger(__name__)

if find_spec("sniffio") is None:
    # The HTTP client looks for it several times in each request, in all folders, which took a seventh of an attempt.
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

GONE = 410
_MAX_RESPONSE_BYTES = 16_384
# Of a response whose status is known, so much time is spent on the rest, after which the connection can be used again.
_DRAIN_SECONDS = 1.0
_CONNECT_SECONDS = 5.0
# A host may have a broken address beside a good one.
_MAX_ADDRESSES = 3
_MAX_TRANSPORTS = 200
_MAX_IDLE_CONNECTIONS = 8  # of one endpoint
_KEEP_ALIVE_SECONDS = 30.0
_HEADERS = {
    "content-type": "application/json",
    "user-agent": "CustomerSuccessMetrics (webhooks)",
    "accept": "*/*",
    "accept-encoding": "identity",
}

DELIVERED, STATUS, TIMED_OUT = "delivered", "status", "timeout"
CONNECTION_FAILED, TLS_FAILED, BAD_RESPONSE = "connection", "tls", "response"
BAD_URL, NO_ADDRESS, BLOCKED = "url", "no_address", "blocked_address"
RESULTS = (
    DELIVERED, STATUS, TIMED_OUT, CONNECTION_FAILED, TLS_FAILED, BAD_RESPONSE, BAD_URL, NO_ADDRESS, BLOCKED,
)  # fmt: skip


class Outcome(NamedTuple):
    """How an attempt ended.

    status: of the response, if there was one. retry_after: the pause that the receiver wants. detail: what is wrong with the
    URL or with a certificate, for people.
    """

    result: str
    seconds: float
    status: int | None = None
    retry_after: timedelta | None = None
    detail: str | None = None


class WebhookSender:
    """Sends messages, and keeps connections to receivers for the next ones. It belongs to one event loop."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        # Each has connections of one endpoint to one host only: two hosts may share an address, but must not share a connection.
        # With each request the library looks at all connections of a transport, so endpoints of one host do not share it either.
        self._transports: OrderedDict[tuple[str, str, str, int], httpx.AsyncHTTPTransport] = OrderedDict()

    async def send(self, due: DueDelivery, *, now: datetime) -> Outcome:
        """Make an attempt and return how it ended. It raises nothing that the receiver can cause."""
        started_at, detail = perf_counter(), None
        try:
            async with asyncio.timeout(self.rules.seconds):
                response = await self._post(due, now)
        except TimeoutError:
            result = TIMED_OUT
        except BadUrl as error:
            # It was accepted: another process has other settings.
            result, detail = BAD_URL, str(error)
        except Unresolvable:
            result = NO_ADDRESS
        except BlockedAddress:
            result = BLOCKED
        except httpx.TimeoutException:
            result = TIMED_OUT
        except httpx.ConnectError as error:
            detail = _tls_fault(error)
            result = CONNECTION_FAILED if detail is None else TLS_FAILED
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            result = CONNECTION_FAILED if isinstance(error, httpx.NetworkError) else BAD_RESPONSE
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError):
            result = BAD_RESPONSE
        except Exception:
            # A delivery whose attempt is never recorded would be tried for ever.
            log.exception("an attempt ended as none should", endpoint=due.endpoint_id, message=due.message_id)
            result = BAD_RESPONSE
        else:
            return await _finish(response, started_at, now)
        return Outcome(result, perf_counter() - started_at, detail=detail)

    async def close(self) -> None:
        """Close all connections."""
        while self._transports:
            _, transport = self._transports.popitem()
            await transport.aclose()

    async def _post(self, due: DueDelivery, now: datetime) -> httpx.Response:
        url = parse_url(due.url, self.rules)
        addresses = await resolve_url(url, self.rules)
        signature = sign(live_secrets(due.secrets, now), id=due.message_id, now=now, body=due.body)
        headers = {"host": url.authority, **_HEADERS, **signature}
        transport = await self._transport(due.endpoint_id, url)
        for address in addresses[: _MAX_ADDRESSES - 1]:
            if address != addresses[-1]:
                with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                    return await self._exchange(transport, url, address, headers, due.body)
        last = addresses[:_MAX_ADDRESSES][-1]
        return await self._exchange(transport, url, last, headers, due.body)

    async def _exchange(
        self, transport: httpx.AsyncHTTPTransport, url: Url, address: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        """Send the request to an address. Return the response, of which only the headers have come."""
        seconds = self.rules.seconds
        limits = {"connect": min(_CONNECT_SECONDS, seconds), "read": seconds, "write": seconds, "pool": seconds}
        request = httpx.Request(
            "POST",
            f"{url.scheme}://{address}:{url.port}{url.target}",
            headers=headers,
            content=body,
            # The certificate has to be that of the host, and has no name that ends with a dot.
            extensions={"timeout": limits, "sni_hostname": url.host.rstrip(".")},
        )
        return await transport.handle_async_request(request)

    async def _transport(self, endpoint_id: str, url: Url) -> httpx.AsyncHTTPTransport:
        key = (endpoint_id, *url[:3])
        transport = self._transports.get(key)
        if transport is None:
            limits = httpx.Limits(max_keepalive_connections=_MAX_IDLE_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_SECONDS)
            transport = httpx.AsyncHTTPTransport(verify=tls_context(), trust_env=False, limits=limits)
            self._transports[key] = transport
        self._transports.move_to_end(key)
        if len(self._transports) > _MAX_TRANSPORTS:
            _, oldest = self._transports.popitem(last=False)
            await oldest.aclose()
        return transport


async def _finish(response: httpx.Response, started_at: float, now: datetime) -> Outcome:
    """Return the outcome that a response says, and read the rest of it, or close its connection.

    The status says all. A body that does not end, or ends badly, changes nothing.
    """
    seconds = perf_counter() - started_at
    length = response.headers.get("content-length", "")
    # To read what has no length, or is long, costs more than another connection.
    is_short = length.isascii() and length.isdigit() and len(length) < 6 and int(length) <= _MAX_RESPONSE_BYTES
    with suppress(Exception):
        if is_short:
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in response.aiter_raw():
                    pass
    with suppress(Exception):
        await response.aclose()
    result = DELIVERED if response.is_success else STATUS
    return Outcome(result, seconds, response.status_code, parse_retry_after(response.headers, now))


@cache
def tls_context() -> ssl.SSLContext:
    """Return what verifies receivers: by the certificates of Mozilla, and by those of the system, to which one can add."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def _tls_fault(error: BaseException) -> str | None:
    """Return what has made TLS fail, as a sentence; None if something else has failed."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate was refused: {error.verify_message.rstrip('.')}."
    if isinstance(error, ssl.SSLError):
        return f"TLS could not be established: {(error.reason or 'no reason').lower().replace('_', ' ')}."
    return None
