"""Where a message goes: the URL of an endpoint, and the addresses of its host, each of which is checked.

A URL is parsed once, here, and what is connected to is put together from its parts: no other parser decides where it leads. The
host is resolved before each attempt, and the connection goes to an address that was checked, so a name that leads elsewhere the
next time (DNS rebinding) makes no difference.
"""

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from app.core.settings import Settings
from app.webhooks.addresses import Address, Network, blocked_kind, parse_address

MAX_URL_LENGTH = 2_000
_PORTS = {"https": 443, "http": 80}
_MIN_PORT = 1024  # of those that are not 80 or 443: no mail server or the like takes a message for its own protocol
_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_NAME, _V6 = rf"(?P<name>{_LABEL}(?:\.{_LABEL}){{0,126}}\.?)", r"\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]"
_AUTHORITY = re.compile(rf"(?:{_NAME}|{_V6})(?::[0-9]{{1,5}})?", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+")
_RESOLVE_SECONDS = 5.0
# A look-up may take long, and cannot be stopped. These are not the threads that others wait for.
_RESOLVER_THREADS = ThreadPoolExecutor(128, thread_name_prefix="resolver")


class BadUrl(ValueError):
    """A URL that no endpoint may have. Its text is a sentence for people."""


class Unresolvable(Exception):
    """The host of a URL has no address."""


class BlockedAddress(Exception):
    """The host of a URL has an address to which nothing may be sent. Its text says what it is, and not which."""


class Url(NamedTuple):
    """The parts of a URL. host: without the brackets of an IPv6 address. target: path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Return host and port as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings allow. hosts: names of internal receivers, in small letters. seconds: how long an attempt may take."""

    allows_http: bool
    hosts: frozenset[str]
    networks: tuple[Network, ...]
    seconds: float

    def may_reach(self, url: Url, address: Address) -> bool:
        """Return whether the settings name the host, or a network of the address."""
        is_named = url.host.lower().rstrip(".") in self.hosts
        return is_named or any(address.version == own.version and address in own for own in self.networks)


def rules_of(settings: Settings) -> Rules:
    """Return the rules that the settings make."""
    hosts, networks = set(), []
    for receiver in filter(None, map(str.strip, settings.webhook_allowed_networks.split(","))):
        try:
            networks.append(ip_network(receiver))
        except ValueError:
            hosts.add(receiver.lower().rstrip("."))
    return Rules(settings.webhook_allow_http, frozenset(hosts), tuple(networks), settings.webhook_timeout)


def parse_url(text: str, rules: Rules) -> Url:
    """Return the parts of the URL of an endpoint. Raises BadUrl."""
    if not _VISIBLE.fullmatch(text) or "\\" in text or len(text) > MAX_URL_LENGTH:
        raise BadUrl("A URL has at most 2,000 visible ASCII characters. Write others as %XX, and a host as xn--….")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadUrl("This is not a URL such as https://crm.example.com/hooks/metrics.") from None
    if parts.scheme == "http" and not rules.allows_http:
        raise BadUrl("The URL must begin with https://. The setting WEBHOOK_ALLOW_HTTP allows http://.")
    if parts.scheme not in _PORTS:
        raise BadUrl("The URL must begin with https://.")
    if "@" in parts.netloc:
        raise BadUrl("The URL must not contain a user or a password. Messages are signed instead.")
    if "#" in text:
        raise BadUrl("The URL must not have a fragment.")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        raise BadUrl("The host of the URL is neither a name nor an IP address.")
    port = _PORTS[parts.scheme] if port is None else port
    if port not in _PORTS.values() and port < _MIN_PORT:
        raise BadUrl("The port of the URL must be 443, 80 or at least 1024.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(parts.scheme, authority["name"] or authority["v6"], port, target)


async def resolve_url(url: Url, rules: Rules) -> list[str]:
    """Return the addresses of the host, in the order in which to try them. Raises Unresolvable or BlockedAddress.

    Each of them is checked: a name that leads to a blocked one as well is not trusted at all.
    """
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            texts = await asyncio.get_running_loop().run_in_executor(_RESOLVER_THREADS, look_up, url.host, url.port)
        addresses = [parse_address(text) for text in texts]
    except (OSError, ValueError, TimeoutError):
        raise Unresolvable from None
    if not addresses:
        raise Unresolvable
    for address in addresses:
        if not rules.may_reach(url, address) and (kind := blocked_kind(address)) is not None:
            raise BlockedAddress(kind)
    return [f"[{address}]" if isinstance(address, IPv6Address) else str(address) for address in addresses]


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system resolves it. Raises OSError or, for a name that cannot be, ValueError."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in rows))
