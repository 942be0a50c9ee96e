"""Assemble the OpenAPI document: the framework's, with the service's component schemas and problems."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.http.encoding import JSON
from app.http.openapi import COMPONENTS, EXAMPLE_DAY
from app.http.problems import FAULT_SCHEMA, PROBLEM_JSON, PROBLEM_SCHEMA

_PROBLEM_RESPONSE = {
    "description": "An error.",
    "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


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
    the key into the URL, which is offered on GET only. server: the path below which clients find the service.
    example_day: the day of the events in the examples; None: always the same day.
    """
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=[{"url": server}]
    )
    components = document.setdefault("components", {})
    names = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        names.pop(name, None)
    names |= COMPONENTS | schemas | {"Problem": PROBLEM_SCHEMA, "Fault": FAULT_SCHEMA}
    # Sorted, so that the document does not depend on the order of imports.
    components["schemas"] = dict(sorted(names.items()))
    components["securitySchemes"] = dict(security_schemes)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            # The first line of an endpoint's docstring is its summary.
            if example_day is not None:
                _date_examples(operation, example_day)
            operation["summary"], _, operation["description"] = operation["description"].partition("\n")
            # The framework's own, which describes errors that never occur.
            if JSON in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
            operation["responses"]["default"] = _PROBLEM_RESPONSE
            # An endpoint that is authenticated in another way says so itself.
            if path.startswith(("/v1", "/metrics")) and "security" not in operation:
                schemes = [name for name in security_schemes if name != query_security or method == "get"]
                operation["security"] = [{name: []} for name in schemes]
    app.openapi_schema = document
    return document


def _date_examples(operation: dict[str, Any], day: date) -> None:
    """Let the examples of a request body happen on a day, so that what /docs sends is in the answers of today.

    Their ids contain the day, too: the same id with another time would be a conflict.
    """
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if "example" in media:
            media["example"] = json.loads(json.dumps(media["example"]).replace(EXAMPLE_DAY, day.isoformat()))
