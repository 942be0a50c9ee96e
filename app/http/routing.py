"""What the routes of the application say about a request: the template of its path, and the methods of its path."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette._utils import get_route_path
from starlette.routing import Mount

from app.http.polls import POLLABLE
from app.http.remember import remember_short

# How many paths are remembered.
_MAX_PATHS = 1_024
# The path template of each endpoint, such as /v1/accounts/{account_id}; filled when the application is assembled.
_TEMPLATES: dict[Callable[..., Any], str] = {}


def name_routes(app: FastAPI) -> None:
    """Remember the path templates of an application's endpoints."""
    for route in iter_route_contexts(app.routes):
        endpoint: Any = route.app if isinstance(route.original_route, Mount) else route.endpoint
        _TEMPLATES[endpoint] = str(route.path)


def find_pollable(app: FastAPI) -> Callable[[str], Callable[..., Any] | None]:
    """Return a function from a path to the endpoint of its GET, None where that is not pollable.

    To look at all routes would take longer than everything else that is done for a poll.
    """
    routes = [route for route in iter_route_contexts(app.routes) if "GET" in (route.methods or ())]

    @remember_short(_MAX_PATHS)
    def find(path: str) -> Callable[..., Any] | None:
        endpoint = next((route.endpoint for route in routes if route.path_regex.match(path)), None)
        return endpoint if endpoint in POLLABLE else None

    return find


def path_template(scope: Mapping[str, Any]) -> str:
    """Return the path template of the endpoint that a request was routed to; empty for an unknown path."""
    return _TEMPLATES.get(scope.get("endpoint"), "")  # type: ignore[arg-type]


def allowed_methods(scope: Mapping[str, Any]) -> list[str]:
    """Return all methods of the path of a request, sorted."""
    path = get_route_path(dict(scope))
    methods: set[str] = set()
    for route in iter_route_contexts(scope["app"].routes):
        if route.methods and route.path_regex.match(path):
            methods |= route.methods
    # The server answers HEAD with the headers of GET.
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
