"""Assemble the OpenAPI document: the framework's, with components, scopes, statuses and problems."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import date
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from app.http.components import build_components
from app.http.encoding import JSON
from app.http.openapi import COMPONENTS, EXAMPLE_DAY, REQUIRED_SCOPES
from app.http.problem_responses import SHARED_HEADERS, SHARED_RESPONSES, add_problem_responses
from app.http.problems import FAULT_SCHEMA, PROBLEM_SCHEMA

# What the groups of endpoints are about, in the order of /docs.
TAGS = {
    "ingest": "Send events and survey responses, accounts, surveys and exchange rates; retract and erase.",
    "segment": "Calls of Segment's libraries.",
    "metrics": "Ask for numbers, and list what can be asked for.",
    "charts": "The charts that answers can be drawn as.",
    "proof": "What is behind a number, how it changed, and whether the numbers agree with each other.",
    "reports": "Cohorts, distributions of scores, the onboarding funnel, one account at a glance.",
    "feedback": "Comments and their status, and what they are about.",
    "scorecard": "Targets, and how near they are.",
    "insights": "What needs attention.",
    "health": "Health scores of accounts, and the model behind them.",
    "accounts": "Accounts, their attributes, and segments.",
    "inbound": "Deliveries of other systems.",
    "alerts": "Thresholds for numbers.",
    "webhooks": "Messages to other systems.",
    "access": "API keys.",
    "operations": "Whether the service works.",
}
_SERVER = "This service, be it local, staging or production."
_INFO: dict[str, Any] = {
    "contact": {"name": "Whoever runs this service"},
    "license_info": {"name": "No license has been chosen yet", "identifier": "NONE"},
}


def name_operation(route: APIRoute) -> str:
    """Return the id of an endpoint's operation, which generators make a method of: its name in camelCase.

    Names begin with a verb: `list` a collection, `get` one thing or numbers, `put`, `patch` and `delete` one thing, `create` one
    that gets its id from the service, `post` events; else what the endpoint does, such as `query`.
    """
    first, *rest = route.name.split("_")
    return first + "".join(word.title() for word in rest)


def build_document(
    app: FastAPI,
    *,
    schemas: dict[str, Any],
    security_schemes: Mapping[str, Any],
    query_security: str,
    server: str = "/",
    example_day: date | None = None,
) -> dict[str, Any]:
    """Return the OpenAPI document of `app`, cached on the application.

    schemas: component schemas besides those that routes declare. query_security: the name of the security scheme that puts
    the key into the URL, which is offered on GET only, with scope `read`. server: the path below which clients find the service.
    example_day: the day of the events in the examples; None: always the same day.
    """
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": server, "description": _SERVER, "x-internal": False}],
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        **_INFO,
    )
    scopes = {route.unique_id: _required_scopes(route) for route in _routes(app)}
    for path, method, operation in _operations(document):
        if example_day is not None:
            _date_examples(operation, example_day)
        # The first line of an endpoint's docstring is its summary.
        operation["summary"], _, operation["description"] = operation["description"].partition("\n")
        # An endpoint that is authenticated in another way says so itself.
        if path.startswith(("/v1", "/metrics")) and "security" not in operation:
            required = tuple(operation.get(REQUIRED_SCOPES, scopes[operation["operationId"]]))
            by_url = method == "get" and required == ("read",)
            _add_security(operation, required, [name for name in security_schemes if name != query_security or by_url])
        # The framework's own, which describes errors that never occur.
        if JSON in operation["responses"].get("422", {}).get("content", {}):
            del operation["responses"]["422"]
        add_problem_responses(path, method, operation)
        operation["description"] = operation["description"].strip() or operation["summary"]
    _add_components(document, schemas)
    document["components"]["securitySchemes"] = dict(security_schemes)
    app.openapi_schema = document
    return document


def _add_components(document: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Add the components, the framework's among them. schemas: those besides that routes declare."""
    components = document.setdefault("components", {})
    own = components.get("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        own.pop(name, None)
    own |= {name: schema() if callable(schema) else schema for name, schema in COMPONENTS.items()}
    own |= {**schemas, "Problem": PROBLEM_SCHEMA, "Fault": FAULT_SCHEMA}
    components["responses"], components["headers"] = deepcopy(SHARED_RESPONSES), SHARED_HEADERS
    operations = [operation for _, _, operation in _operations(document)]
    components["schemas"] = build_components(own, [*operations, {"responses": components["responses"]}])


def _routes(app: FastAPI) -> Iterator[Any]:
    return (route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute))


def _required_scopes(route: Any) -> tuple[str, ...]:
    """Return the scopes that an endpoint requires: those that its dependencies say."""
    scopes = [getattr(dependency.call, "scopes", ()) for dependency in route.dependant.dependencies]
    return tuple(dict.fromkeys(scope for own in scopes for scope in own))


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _add_security(operation: dict[str, Any], scopes: tuple[str, ...], schemes: list[str]) -> None:
    """Let an operation say which scopes its key needs: as roles, as OpenAPI 3.1 has them, and in words."""
    operation["security"] = [{name: [*scopes]} for name in schemes]
    operation[REQUIRED_SCOPES] = [*scopes]
    words = " and ".join(f"`{scope}`" for scope in scopes)
    noun = "scope" if len(scopes) == 1 else "scopes"
    operation["description"] = f"{operation['description'].strip()}\n\nThe key needs the {noun} {words}.".strip()


def _date_examples(operation: dict[str, Any], day: date) -> None:
    """Let the examples of a request body happen on a day, so that what /docs sends is in the answers of today.

    Their ids contain the day, too: the same id with another time would be a conflict.
    """
    for media in operation.get("requestBody", {}).get("content", {}).values():
        for member in ("example", "examples"):
            if member in media:
                media[member] = json.loads(json.dumps(media[member]).replace(EXAMPLE_DAY, day.isoformat()))
