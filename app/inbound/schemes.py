"""How a sender proves who it is: a family of schemes, each of which verifies a request by secrets.

All of them read the raw bytes, compare in constant time, accept several secrets (for rotation), and refuse a time that is
more than five minutes away in either direction. Whatever is missing or malformed raises Unauthenticated.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote

from app.core.errors import Unauthenticated

MAX_AGE = timedelta(minutes=5)
# Of one request: the work of a request must not grow with what an unknown sender writes into a header.
_MAX_SIGNATURES = 16
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_SECRET_PREFIX = "whsec_"

Algorithm = Literal["sha256", "sha1", "sha512"]
Encoding = Literal["hex", "base64"]
TimeForm = Literal["seconds", "milliseconds", "iso"]


class SignedRequest(NamedTuple):
    """A request as it was received. url: as the sender called it. headers: with repetitions, names in lower case."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header that must be there once. Raises Unauthenticated."""
        values = self.find_headers(name)
        if len(values) != 1 or not values[0]:
            raise unverified_error(f"The header {name} is required, once.")
        return values[0]

    def find_headers(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for own_name, value in self.headers if own_name == name.lower()]


class Scheme(Protocol):
    """Verifies requests. description: what is signed, and where the signature is, as a sentence for the reference."""

    @property
    def description(self) -> str: ...

    def find_fault(self, secret: str) -> str | None:
        """Return why a text cannot be a secret of this scheme, as a sentence; None if it can."""

    def verify(self, request: SignedRequest, secrets: Sequence[str], *, now: datetime) -> None:
        """Raise Unauthenticated unless the request was signed with one of the secrets."""


def unverified_error(detail: str, *, code: str = "unverified") -> Unauthenticated:
    """Return the error of a request whose sender is not proved."""
    return Unauthenticated(detail, code=code)


def _compare(values: Iterable[str], expected_values: Iterable[bytes]) -> None:
    """Raise Unauthenticated unless one of the values is one of the expected ones. All pairs are compared."""
    sent_values = [value.encode("latin-1", "replace") for value in values][:_MAX_SIGNATURES]
    matches = [hmac.compare_digest(value, expected) for expected in expected_values for value in sent_values]
    if not any(matches):
        raise unverified_error("The signature or secret is wrong. Check that the source has the secret of the sender.")


def _check_age(sent_at: datetime, now: datetime) -> None:
    if abs(now - sent_at) > MAX_AGE:
        detail = "The time of the signature is more than five minutes away from the clock of the service."
        raise unverified_error(detail, code="stale_signature")


def _parse_time(text: str, form: TimeForm) -> datetime:
    """Return the time that a header says. Raises Unauthenticated."""
    try:
        if form == "iso":
            time = datetime.fromisoformat(text)
            if time.tzinfo is None:
                raise ValueError
            return time.astimezone(UTC)
        if not _DIGITS.fullmatch(text):
            raise ValueError
        return datetime.fromtimestamp(int(text) / (1000 if form == "milliseconds" else 1), UTC)
    except (ValueError, OverflowError, OSError):
        raise unverified_error("The time of the signature is not well-formed.") from None


def _sign(key: bytes, content: bytes, algorithm: str, encoding: Encoding) -> bytes:
    digest = hmac.new(key, content, getattr(hashlib, algorithm)).digest()
    return digest.hex().encode() if encoding == "hex" else base64.b64encode(digest)


def _body(request: SignedRequest, time: str) -> bytes:
    return request.body


def time_and_body(request: SignedRequest, time: str) -> bytes:
    """Return the time as it stands in its header, and the body."""
    return time.encode("latin-1", "replace") + request.body


def dotted_time_and_body(request: SignedRequest, time: str) -> bytes:
    """Return the time as it stands in its header, a dot, and the body."""
    return time.encode("latin-1", "replace") + b"." + request.body


def url_and_body(request: SignedRequest, time: str) -> bytes:
    """Return method, URL, body and time: what HubSpot signs. Of the URL, escapes are decoded except that of `?`."""
    url = re.sub("%3f", "%253F", request.url, flags=re.IGNORECASE)
    return request.method.encode() + unquote(url).encode() + request.body + time.encode("latin-1", "replace")


@dataclass(frozen=True)
class Hmac:
    """A keyed hash in a header.

    prefix: what stands before the hash. time_header: the header of the time that is signed as well. content: returns what is
    signed, from the request and the text of the time. contents: what that is, in words.
    """

    header: str
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    time_header: str | None = None
    time_form: TimeForm = "seconds"
    content: Callable[[SignedRequest, str], bytes] = _body
    contents: str = "the body"

    @property
    def description(self) -> str:
        time = f" The time in `{self.time_header}` is signed as well." if self.time_header else ""
        form = f"{self.prefix}{self.encoding}"
        return f"HMAC-{self.algorithm.upper()} of {self.contents} in the header `{self.header}`, as `{form}`.{time}"

    def find_fault(self, secret: str) -> str | None:
        return None

    def verify(self, request: SignedRequest, secrets: Sequence[str], *, now: datetime) -> None:
        value, time = request.header(self.header), ""
        if self.time_header is not None:
            time = request.header(self.time_header)
            _check_age(_parse_time(time, self.time_form), now)
        content = self.content(request, time)
        signatures = (_sign(secret.encode(), content, self.algorithm, self.encoding) for secret in secrets)
        _compare([value], [self.prefix.encode() + signature for signature in signatures])


@dataclass(frozen=True)
class StripeSignature:
    """Stripe's header `t=TIME,v1=SIGNATURE`, in which several signatures may stand."""

    header: str = "Stripe-Signature"

    @property
    def description(self) -> str:
        return f"HMAC-SHA256 of time, dot and body in the header `{self.header}`, as `t=…,v1=hex`."

    def find_fault(self, secret: str) -> str | None:
        return None if secret.startswith(_SECRET_PREFIX) else 'A signing secret of Stripe begins with "whsec_".'

    def verify(self, request: SignedRequest, secrets: Sequence[str], *, now: datetime) -> None:
        items = [item.partition("=") for item in request.header(self.header).split(",")]
        times = [value for name, _, value in items if name == "t"]
        if len(times) != 1:
            raise unverified_error(f"The header {self.header} needs one time.")
        _check_age(_parse_time(times[0], "seconds"), now)
        content = dotted_time_and_body(request, times[0])
        signatures = [_sign(secret.encode(), content, "sha256", "hex") for secret in secrets]
        _compare([value for name, _, value in items if name == "v1"], signatures)


@dataclass(frozen=True)
class StandardWebhooks:
    """The signature of the Standard Webhooks specification, also under the names of Svix, from which it comes."""

    prefixes: tuple[str, ...] = ("webhook", "svix")

    @property
    def description(self) -> str:
        return (
            "[Standard Webhooks](https://www.standardwebhooks.com): HMAC-SHA256 of id, time and body in the header "
            "`webhook-signature`, as `v1,base64`; the id and the time in `webhook-id` and `webhook-timestamp`."
        )

    def find_fault(self, secret: str) -> str | None:
        if not secret.startswith(_SECRET_PREFIX) or self._key(secret) is None:
            return 'A secret of Standard Webhooks is "whsec_" and base64.'
        return None

    def _key(self, secret: str) -> bytes | None:
        try:
            return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True) or None
        except (ValueError, binascii.Error):
            return None

    def verify(self, request: SignedRequest, secrets: Sequence[str], *, now: datetime) -> None:
        prefix = next((own for own in self.prefixes if request.find_headers(f"{own}-id")), self.prefixes[0])
        id, time = request.header(f"{prefix}-id"), request.header(f"{prefix}-timestamp")
        items = request.header(f"{prefix}-signature").split(" ")
        _check_age(_parse_time(time, "seconds"), now)
        content = id.encode("latin-1", "replace") + b"." + dotted_time_and_body(request, time)
        signatures = [_sign(self._key(secret) or b"", content, "sha256", "base64") for secret in secrets]
        _compare([item.removeprefix("v1,") for item in items if item.startswith("v1,")], signatures)


@dataclass(frozen=True)
class Basic:
    """HTTP Basic, for senders that cannot sign. A secret is `USER:PASSWORD`."""

    @property
    def description(self) -> str:
        return "HTTP Basic, without a signature. A secret is `USER:PASSWORD`."

    def find_fault(self, secret: str) -> str | None:
        return None if secret.partition(":")[2] else "The secret of HTTP Basic is USER:PASSWORD."

    def verify(self, request: SignedRequest, secrets: Sequence[str], *, now: datetime) -> None:
        scheme, _, credentials = request.header("authorization").partition(" ")
        if scheme.lower() != "basic":
            raise unverified_error("The header Authorization must be of the scheme Basic.")
        _compare([credentials.strip()], [base64.b64encode(own) for secret in secrets for own in _encode(secret)])


def _encode(secret: str) -> list[bytes]:
    """Return a secret in UTF-8, and in Latin-1 if it can be: RFC 7617 leaves the encoding open, and senders use either."""
    try:
        return [secret.encode()] if secret.isascii() else [secret.encode(), secret.encode("latin-1")]
    except UnicodeEncodeError:
        return [secret.encode()]


@dataclass(frozen=True)
class SecretHeader:
    """A secret in a header, for senders that cannot sign. prefix: what stands before it, such as `Bearer `."""

    header: str
    prefix: str = ""

    @property
    def description(self) -> str:
        return f"The secret itself in the header `{self.header}`, as `{self.prefix}SECRET`, without a signature."

    def find_fault(self, secret: str) -> str | None:
        return None if secret.isascii() else "A secret in a header must be ASCII."

    def verify(self, request: SignedRequest, secrets: Sequence[str], *, now: datetime) -> None:
        _compare([request.header(self.header)], [(self.prefix + secret).encode() for secret in secrets])


@dataclass(frozen=True)
class SecretInUrl:
    """A secret in the query of the URL, for senders that can set nothing else. It is masked in the log."""

    parameter: str = "secret"

    @property
    def description(self) -> str:
        return f"The secret itself in the URL, as `?{self.parameter}=SECRET`, without a signature."

    def find_fault(self, secret: str) -> str | None:
        return (
            None if re.fullmatch(r"[\w.~-]+", secret, re.ASCII) else "In a URL, use letters, digits and . _ ~ - only."
        )

    def verify(self, request: SignedRequest, secrets: Sequence[str], *, now: datetime) -> None:
        query = parse_qsl(request.url.partition("?")[2], encoding="latin-1", max_num_fields=50)
        values = [value for name, value in query if name == self.parameter]
        if len(values) != 1:
            raise unverified_error(f"The parameter {self.parameter} is required, once.")
        _compare(values, [secret.encode() for secret in secrets])


@dataclass(frozen=True)
class FirstOf:
    """Several schemes: the first one whose header is there decides; else the last one."""

    schemes: Sequence[Any]

    @property
    def description(self) -> str:
        return " Or: ".join(scheme.description for scheme in self.schemes)

    def find_fault(self, secret: str) -> str | None:
        faults = [scheme.find_fault(secret) for scheme in self.schemes]
        return faults[-1] if all(faults) else None

    def verify(self, request: SignedRequest, secrets: Sequence[str], *, now: datetime) -> None:
        for scheme in self.schemes[:-1]:
            if request.find_headers(scheme.header):
                scheme.verify(request, secrets, now=now)
                return
        self.schemes[-1].verify(request, secrets, now=now)
