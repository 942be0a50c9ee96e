"""Checks of the values of settings, with sentences for those who set them."""

import re
from ipaddress import ip_network
from zoneinfo import ZoneInfo

from pydantic import SecretStr

MIN_KEY_LENGTH = 16
# The beginnings of the paths of the service, without those that only come from outside.
OWN_PATHS = frozenset(
    {"docs", "healthz", "mcp", "metrics", "odata", "openapi.json", "readyz", "static-offline-docs", "v1"}
)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*", re.ASCII | re.I)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s@,*]+", re.ASCII | re.I)
_PUBLIC_URL = re.compile(r"https?://[^/?#\s@]+(?P<path>(?:/[\w.~-]+)*)/*", re.ASCII)


def check_zone(name: str) -> str:
    """Return the name of a time zone. Raises ValueError for an unknown one."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Berlin") from error
    return name


def check_key(key: SecretStr | None) -> SecretStr | None:
    """Return a key. Raises ValueError for a short one."""
    if key is not None and len(key.get_secret_value()) < MIN_KEY_LENGTH:
        raise ValueError(f"the key needs at least {MIN_KEY_LENGTH} characters")
    return key


def check_database_url(url: SecretStr | None) -> SecretStr | None:
    """Return the URL of a database. Raises ValueError unless it is one of PostgreSQL."""
    if url is not None:
        scheme, _, rest = url.get_secret_value().partition("://")
        if scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise ValueError("only PostgreSQL is supported: the URL must begin with postgresql://")
        # The rest of the password would be taken for the host, and be printed.
        if re.split("[/?#]", rest, maxsplit=1)[0].count("@") > 1:
            raise ValueError("it has two @. Write the one in the user or the password as %40")
    return url


def check_public_url(url: str | None) -> str | None:
    """Return the URL under which clients reach the service, without a slash at its end. Raises ValueError."""
    if url is None:
        return None
    match = _PUBLIC_URL.fullmatch(url)
    if match is None:
        raise ValueError("write it as https://HOST or https://HOST/PATH; the path may have letters, digits and . _ ~ -")
    segment = match["path"].split("/")[1:2]
    if segment and segment[0] in OWN_PATHS:
        raise ValueError(f"the path must not begin with /{segment[0]}, which is a path of the service itself")
    return url.rstrip("/")


def check_addresses(text: str) -> str:
    """Return a list of addresses and networks as text. Raises ValueError for anything else in it."""
    for address in filter(None, map(str.strip, text.split(",") if text != "*" else [])):
        try:
            ip_network(address)
        except ValueError:
            raise ValueError(
                f"{address!r} is not an IP address or a network, such as 10.0.0.7 or 10.0.0.0/8; names are not looked up"
            ) from None
    return text


def check_receivers(text: str) -> str:
    """Return a list of host names, addresses and networks as text. Raises ValueError for anything else in it."""
    for receiver in filter(None, map(str.strip, text.split(","))):
        try:
            ip_network(receiver)
        except ValueError as error:
            if "/" in receiver or ":" in receiver or not _HOST.fullmatch(receiver):
                raise ValueError(
                    f"{receiver!r} is not a host name, an IP address or a network, such as crm.internal or 10.1.0.0/16"
                ) from error
    return text


def check_origins(text: str) -> str:
    """Return a list of origins as text. Raises ValueError for anything else in it."""
    for origin in filter(None, map(str.strip, text.split(","))):
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is not an origin, such as https://agents.example.com: no path, no slash at its end"
            )
    return text


def check_currency(code: str) -> str:
    """Return the code of a currency. Raises ValueError unless it has three capital letters."""
    if not re.fullmatch("[A-Z]{3}", code):
        raise ValueError(f"{code!r} is not an ISO 4217 code: three capital letters, such as EUR")
    return code
