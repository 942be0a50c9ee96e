"""The statuses of the OpenAPI document: which errors an endpoint answers, and the headers that responses have."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from app.core.codes import REQUEST
from app.http.encoding import PROBLEM_JSON
from app.http.openapi import REQUIRED_SCOPES, component

# What a response of each status means, wherever it comes from.
_MEANINGS = {
    400: "The body, a header or the URL is malformed.",
    401: "There is no key, or it is unknown, revoked or has expired.",
    403: "The key lacks a scope that the endpoint requires.",
    404: "There is nothing with this name or id.",
    409: "The request contradicts something that is stored.",
    413: "The body is too large.",
    415: "The content type or the encoding is not supported.",
    422: "The request is well-formed but not acceptable; `errors` says where.",
    429: "The key has too many questions at once, or has asked too many within a minute.",
    500: "An error in the service, which is in its log under the id of the request.",
    503: "The service is busy or cannot reach its database. Send the same again after `Retry-After`.",
}
_MAY_BE_REPEATED = (429, 503)
_HEADER = "#/components/headers/{name}"


def _header(name: str) -> dict[str, Any]:
    return {"$ref": _HEADER.format(name=name)}


SHARED_HEADERS: dict[str, Any] = {
    "RequestId": {
        "description": "The id of the request in the log: the client's own of `X-Request-ID`, or a new one.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "After so many seconds the same request may succeed.",
        "schema": {"type": "integer", "format": "int32", "minimum": 0},
    },
    "ETag": {
        "description": "Changes whenever the answer does. With `If-None-Match`, an answer that has not changed is 304.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": 'The URL of the next page, with `rel="next"`; absent on the last one.',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "How many questions the key has left, and for how many seconds.",
        "schema": {"type": "string"},
    },
    "RateLimitPolicy": {"description": "How many questions a key has in a minute.", "schema": {"type": "string"}},
}
_REQUEST_ID = {"X-Request-ID": _header("RequestId")}
_RATE = {"RateLimit": _header("RateLimit"), "RateLimit-Policy": _header("RateLimitPolicy")}


def _name_response(status: int) -> str:
    return "".join(word for word in HTTPStatus(status).phrase.title() if word.isalpha())


def _build_response(status: int) -> dict[str, Any]:
    code = next(entry for entry in REQUEST if entry.status == str(status))
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": code.meaning.replace("`", '"'),
        "code": code.code,
    }
    headers = _REQUEST_ID | ({"Retry-After": _header("RetryAfter")} if status in _MAY_BE_REPEATED else {})
    content = {PROBLEM_JSON: {"schema": component("Problem"), "example": example}}
    return {"description": _MEANINGS[status], "headers": headers, "content": content}


# A problem with any other status, such as 405 or 431.
_OTHER = {
    "description": "An error.",
    "headers": _REQUEST_ID,
    "content": {PROBLEM_JSON: {"schema": component("Problem")}},
}
SHARED_RESPONSES = {_name_response(status): _build_response(status) for status in _MEANINGS} | {"Error": _OTHER}


def add_problem_responses(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add the responses of errors that an endpoint can answer, and the headers of the others.

    Of 409, the endpoint has to say when it occurs.
    """
    responses = operation["responses"]
    is_question = "read" in operation.get(REQUIRED_SCOPES, ())
    for status, response in responses.items():
        if "content" in response or status == "204":
            response["headers"] = _REQUEST_ID | (_RATE if is_question else {}) | _answer_headers(method, response)
    if method == "get" and path.startswith("/v1"):
        headers = {"ETag": _header("ETag"), **_REQUEST_ID, **(_RATE if is_question else {})}
        responses["304"] = {"description": "The client has the answer already.", "headers": headers}
    for status in _statuses(path, method, operation):
        name, own = _name_response(status), responses.get(str(status))
        responses[str(status)] = _reference(name) if own is None else SHARED_RESPONSES[name] | own
    responses["default"] = _reference("Error")
    operation["responses"] = dict(sorted(responses.items()))


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/responses/{name}"}


def _answer_headers(method: str, response: Mapping[str, Any]) -> dict[str, Any]:
    if method != "get" or "content" not in response:
        return {}
    return {"ETag": _header("ETag"), "Link": _header("Link")}


def _statuses(path: str, method: str, operation: Mapping[str, Any]) -> list[int]:
    is_open = not operation.get("security") and "requestBody" not in operation
    if is_open:
        return [503] if path == "/readyz" else []
    statuses = [400, 401, 422, 500, 503]
    if operation["security"]:
        statuses.append(403)
    if "read" in operation.get(REQUIRED_SCOPES, ()):
        statuses.append(429)
    if "{" in path and method != "put":
        statuses.append(404)
    if "requestBody" in operation:
        statuses += [413, 415]
    if "409" in operation["responses"]:
        statuses.append(409)
    return sorted(statuses)
