"""Turn errors into `application/problem+json` responses (RFC 9457), in one place."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter
from pydantic_core import to_json
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException

from app.core.errors import Invalid, Malformed, Problem, validation_faults
from app.core.names import Fault
from app.http.encoding import PROBLEM_JSON
from app.http.openapi import component, name_schema, object_schema
from app.http.routing import allowed_methods

PROBLEM_SCHEMA = object_schema(
    "Problem",
    {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "What the status means."},
        "status": {"type": "integer", "description": "The status of the response."},
        "detail": {"type": "string", "description": "For people; it may change."},
        "code": name_schema("ProblemCode", "For programs; it does not change."),
    },
    {
        "errors": {"type": "array", "items": component("Fault"), "description": "All that is wrong with the request."},
        "accepted": {
            "type": "integer",
            "description": "0, where no event of a batch was accepted (`all_rejected`).",
        },
        "duplicates": {"type": "integer", "description": "0, where no event of a batch was accepted."},
        "rejected": {
            "type": "array",
            "items": component("Rejection"),
            "description": "Why each event was not accepted, where none of a batch was.",
        },
    },
    description="An error (RFC 9457).",
)
FAULT_SCHEMA: dict[str, Any] = TypeAdapter(Fault).json_schema()

# Codes of the errors that the framework raises itself, and details where its own say too little.
_FRAMEWORK_CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
_FRAMEWORK_DETAILS = {
    404: "Unknown path. /docs lists all endpoints.",
    405: "This path does not support this method. The header Allow lists those that it does.",
}


# How errors are written where they are no problem objects, by the beginning of the paths; filled when routes are declared.
ERROR_RESPONSES: dict[str, Callable[[Request, Problem], Response]] = {}


def problem_body(problem: Problem) -> dict[str, Any]:
    """Return the problem+json object of an error."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return body | problem.more


def install_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every error, the service's own and the framework's, as problem+json."""

    @app.exception_handler(Problem)
    async def handle_problem(request: Request, problem: Problem) -> Response:
        return _error_response(request, problem)

    @app.exception_handler(RequestValidationError)
    async def handle_validation_error(_: Request, error: RequestValidationError) -> Response:
        errors = error.errors()
        if any(e["type"] == "json_invalid" for e in errors):
            return problem_response(Malformed("The body is not well-formed JSON.", code="malformed_json"))
        faults = validation_faults(errors)
        for fault in faults:
            fault["pointer"] = fault["pointer"].removeprefix("/body")
        return problem_response(Invalid.of(faults, code="invalid"))

    @app.exception_handler(HTTPException)
    async def handle_framework_error(request: Request, error: HTTPException) -> Response:
        code = _FRAMEWORK_CODES.get(error.status_code, "refused")
        detail = _FRAMEWORK_DETAILS.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # The framework names only the methods of one of the endpoints with this path.
            headers["Allow"] = ", ".join(allowed_methods(request.scope))
        problem = Problem(detail, code=code, headers=headers)
        problem.status = error.status_code
        return _error_response(request, problem)


def _error_response(request: Request, problem: Problem) -> Response:
    if "WWW-Authenticate" in problem.headers and request.headers.get("sec-fetch-dest") == "empty":
        # The request is that of a script. To Basic, a browser would open a window of its own that asks for a password.
        problem.headers["WWW-Authenticate"] = problem.headers["WWW-Authenticate"].replace("Basic", "Bearer")
    path = get_route_path(request.scope)
    for prefix, respond in ERROR_RESPONSES.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return respond(request, problem)
    return problem_response(problem)


def problem_response(problem: Problem) -> Response:
    """Return the response of an error."""
    content = to_json(problem_body(problem))
    return Response(content, problem.status, headers=problem.headers, media_type=PROBLEM_JSON)
