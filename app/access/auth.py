"""Authentication and authorization of requests: which key a request carries and what its scopes allow."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import Request
from structlog.contextvars import bind_contextvars

from app.access.keys import KEY_PREFIX, KeyScope, StoredKey, find_key, hash_key, is_setting, write_last_use
from app.access.rate_limits import RateLimits
from app.access.sessions import COOKIE
from app.books.books import Books
from app.core.callers import current_caller
from app.core.errors import Forbidden, Invalid, Unauthenticated, Unavailable, json_pointer
from app.core.names import name_fault
from app.core.settings import Settings
from app.http.response_headers import add_response_headers

# The scheme that puts the key into the URL; the others put it into a header.
QUERY_SECURITY = "url"
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key."},
    "basic": {"type": "http", "scheme": "basic", "description": "The key as password or as user name."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The key."},
    QUERY_SECURITY: {
        "type": "apiKey",
        "in": "query",
        "name": "api_key",
        "description": "Only on GET, and only for a key whose only scope is `read`.",
    },
}

# They stand for the keys of the settings, which have no ids.
ADMIN_KEY_ID = "ADMIN_KEY"
PROMETHEUS_KEY_ID = "PROMETHEUS_KEY"
# The member of a request's scope that has the caller, where `app.polling` has recognized it.
CALLER = "csmetrics.caller"
_NO_KEY = "This request needs a key: `Authorization: Bearer KEY`, HTTP Basic with the key as password, or `X-API-Key`."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: the id and the scopes of its key."""

    id: str
    scopes: frozenset[str]

    def has(self, scope: KeyScope) -> bool:
        """Return whether the caller has this scope. Admin implies every scope."""
        return scope in self.scopes or "admin" in self.scopes


# The callers with the keys of the settings.
_ADMIN = Caller(ADMIN_KEY_ID, frozenset({"admin"}))
_PROMETHEUS = Caller(PROMETHEUS_KEY_ID, frozenset())


def books_of(request: Request) -> Books:
    """Return the books of the application that serves a request. Raises Unavailable while they wait for a migration."""
    books: Books | None = request.app.state.books
    if books is None:
        detail = "The database is not migrated to this version. Run `csmetrics migrate`."
        raise Unavailable(detail, code="not_migrated", retry_after=10)
    return books


@cache
def requires(*scopes: KeyScope) -> Callable[[Request], Awaitable[Caller]]:
    """Return a FastAPI dependency that authenticates the caller and checks these scopes.

    The dependency raises Unauthenticated or Forbidden. It is the same one for the same scopes, so that FastAPI runs it, and the
    request is counted, once where both a router and its endpoint depend on it.
    """

    async def authorize(request: Request) -> Caller:
        _check_params_exist(request)
        key, is_in_url = _read_key(request)
        return await _authorize(request, key, scopes, is_in_url=is_in_url)

    # What the OpenAPI document says of the endpoint.
    authorize.scopes = scopes  # type: ignore[attr-defined]
    return authorize


def has_key(request: Request) -> bool:
    """Return whether a request carries a key, or what should be one, in a header."""
    return bool(request.headers.get("authorization") or request.headers.get("x-api-key"))


async def authorize_key(request: Request, key: str | None, *scopes: KeyScope) -> Caller:
    """Authenticate the caller by a key that is not in a header and check these scopes, as `requires` does.

    key: None where the request has none at all. Raises Unauthenticated or Forbidden.
    """
    _check_params_exist(request)
    if key is None:
        raise Unauthenticated(_NO_KEY)
    return await _authorize(request, key, scopes, is_in_url=False)


async def _authorize(request: Request, key: str, scopes: Sequence[KeyScope], *, is_in_url: bool) -> Caller:
    caller = request.scope.get(CALLER) or await _authenticate(request, key)
    current_caller.set(caller.id)
    if "read" in scopes:
        count_question(request, caller)
    if is_in_url and caller.scopes != {"read"}:
        raise Unauthenticated("Only a key whose only scope is `read` may be sent in the URL. Send it in a header.")
    if not all(map(caller.has, scopes)):
        detail = f"This request needs a key with scope {' and '.join(scopes)}."
        if caller.id == PROMETHEUS_KEY_ID:
            detail += " The key of the setting PROMETHEUS_KEY may only read /metrics/prometheus."
        raise Forbidden(detail)
    return caller


async def may_read_meters(request: Request) -> None:
    """Authenticate a request for the page of Prometheus: by PROMETHEUS_KEY, without the database, or by a key with scope read.

    Raises Unauthenticated or Forbidden.
    """
    _check_params_exist(request)
    key, is_in_url = _read_key(request)
    if not is_in_url and _find_settings_caller(request, hash_key(key)) is _PROMETHEUS:
        bind_contextvars(key_id=PROMETHEUS_KEY_ID)
    else:
        await _authorize(request, key, ("read",), is_in_url=is_in_url)


may_read_meters.scopes = ("read",)  # type: ignore[attr-defined]


def _find_settings_caller(request: Request, key_hash: bytes) -> Caller | None:
    """Return the caller whose key is one of the settings; None for another key. The keys are compared in constant time."""
    settings: Settings = request.app.state.settings
    for setting, caller in ((settings.admin_key, _ADMIN), (settings.prometheus_key, _PROMETHEUS)):
        if is_setting(key_hash, setting):
            return caller
    return None


def _check_params_exist(request: Request) -> None:
    """Raise Invalid for query parameters on an endpoint without any: the client believes that they have an effect.

    Endpoints with parameters check them when they parse them.
    """
    params = request.query_params.keys() - {"api_key"}
    if params and not (request.scope["route"].openapi_extra or {}).get("parameters"):
        sentence = "Unknown parameter{}. This endpoint has no parameters."
        faults = [
            name_fault(json_pointer(("query", name)), sentence, name, code="extra_forbidden") for name in sorted(params)
        ]
        raise Invalid.of(faults)


def _read_key(request: Request) -> tuple[str, bool]:
    """Return the key that a request carries and whether it is in the URL. Raises Unauthenticated without one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip(), False
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
        except ValueError:  # not base64, not ASCII, not UTF-8
            raise Unauthenticated(_NO_KEY) from None
        # BI tools ask for a user and a password. The key is one of them; its prefix tells which.
        return user if user.startswith(KEY_PREFIX) or not password else password, False
    if key := request.headers.get("x-api-key"):
        return key, False
    if request.method in ("GET", "HEAD") and (keys := request.query_params.getlist("api_key")):
        if len(keys) > 1:
            raise Unauthenticated("The parameter `api_key` is given more than once.")
        return keys[0], True
    if (session := request.cookies.get(COOKIE)) and _is_of_page(request):
        return session, False
    raise Unauthenticated(_NO_KEY)


def _is_of_page(request: Request) -> bool:
    """Return whether a request with a cookie comes from a page of this service, or from the address bar of the browser.

    Browsers add cookies by themselves, also to what a page of another service on the same host sends.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return request.method in ("GET", "HEAD") if origin is None else urlsplit(origin).netloc == request.headers["host"]


class PollKey(NamedTuple):
    """The key that a poll carries. hash: None for the admin key of the settings, which is not looked up."""

    hash: bytes | None
    is_in_url: bool


def read_poll_key(request: Request) -> PollKey:
    """Return the key that a poll carries. Raises Unauthenticated without one, and for the key of Prometheus."""
    key, is_in_url = _read_key(request)
    key_hash = hash_key(key)
    caller = _find_settings_caller(request, key_hash)
    if caller is _PROMETHEUS:
        raise Unauthenticated(_NO_KEY)
    return PollKey(key_hash if caller is None else None, is_in_url)


def recognize_caller(request: Request, key: PollKey, stored_key: StoredKey | None) -> Caller | None:
    """Return the caller of a poll with scope read. None where the endpoint has to say or do more about it."""
    if key.hash is None:
        caller = _ADMIN
    elif stored_key is None:
        return None
    else:
        # The first use on a day is noted, and an expired key explained.
        today = books_of(request).today()
        if stored_key.last_used_on != today or (stored_key.expires_on is not None and stored_key.expires_on <= today):
            return None
        caller = Caller(stored_key.id, frozenset(stored_key.scopes))
    if not caller.has("read") or (key.is_in_url and caller.scopes != {"read"}):
        return None
    bind_contextvars(key_id=caller.id)
    current_caller.set(caller.id)
    request.scope[CALLER] = caller
    return caller


def count_question(request: Request, caller: Caller) -> None:
    """Count a question of a caller, and add the headers about the limit to its response. Raises Busy when it is one too many."""
    limits: RateLimits = request.app.state.rate_limits
    add_response_headers(request.scope, limits.count(caller.id))


async def _authenticate(request: Request, key: str) -> Caller:
    """Return the caller with this key and note the day of its use. Raises Unauthenticated.

    The key's id is in the lines of the log from here on, until the end of the request.
    """
    key_hash = hash_key(key)
    if (caller := _find_settings_caller(request, key_hash)) is not None:
        bind_contextvars(key_id=caller.id)
        return caller
    books = books_of(request)
    stored_key = await find_key(books, key_hash)
    if stored_key is None:
        raise Unauthenticated(
            "Unknown or revoked key. Check that it is complete and a key of this service; an administrator can create a new one."
        )
    bind_contextvars(key_id=stored_key.id)
    if stored_key.expires_on is not None and stored_key.expires_on <= books.today():
        raise Unauthenticated("This key has expired. An administrator can create a new one.", code="key_expired")
    if stored_key.last_used_on != (today := books.today()):
        await write_last_use(books, key_hash, today=today)
    return Caller(stored_key.id, frozenset(stored_key.scopes))
