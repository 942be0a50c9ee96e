"""OData v4 at `/odata/v4/`: the service document, `$metadata`, entity sets, their counts and single entities."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlencode

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import books_of, requires
from app.core.aside import run_aside
from app.core.errors import Malformed, NotFound, Problem
from app.core.names import build_fault, name_fault, nearest_names
from app.http.encoding import JSON
from app.http.formats import write_json
from app.http.problems import ERROR_RESPONSES
from app.http.response_headers import add_response_headers
from app.http.responses import tagged_response
from app.odata.attribute_types import OtherType
from app.odata.expressions import CompareNode, Expression, Member, join_conditions, kind_of
from app.odata.model import ENTITY_SETS, EntitySet, Property
from app.odata.negotiate import VERSION, XML, check_version, choose_form, page_size
from app.odata.position import encode_position
from app.odata.query import PAGE_ROWS, QueryOptions, bind_query, check_no_options, read_options
from app.odata.schema import Sets, metadata_json, metadata_xml
from app.odata.sources import EntityPage, SetContext
from app.odata.tokens import parse_key
from app.odata.write import EntityWriter, error_body, service_document

PREFIX = "/odata/v4"
_RESOURCE = re.compile(r"(?P<name>\w+)(?:\((?P<key>.*)\))?", re.DOTALL)
_ALLOWED_METHODS = "GET, HEAD, OPTIONS"
# How often a page is read again because an attribute has a value of another type than was known.
_MAX_READS = 20


_VERSION_HEADER = {"OData-Version": VERSION}


async def speak_odata(request: Request) -> None:
    """Add the version to the response, whatever that will be."""
    add_response_headers(request.scope, _VERSION_HEADER)


def _error_response(request: Request, problem: Problem) -> Response:
    # The framework refuses a path or a method before any dependency has run.
    add_response_headers(request.scope, _VERSION_HEADER)
    status, content = error_body(problem)
    return Response(content, status, headers=problem.headers, media_type=JSON)


ERROR_RESPONSES[PREFIX] = _error_response

# It is not in the OpenAPI document: what there is, OData says itself in `$metadata`, and clients of OData read that.
router = APIRouter(
    prefix=PREFIX, dependencies=[Depends(speak_odata), Depends(requires("read"))], include_in_schema=False
)
# Query options are read, and checked, by `read_options`.
_READS_OPTIONS = {"parameters": [{"name": "$format", "in": "query"}]}


def _root(request: Request) -> str:
    """Return the URL of the service. Without PUBLIC_URL it is the one that the client used, since OData needs absolute ones."""
    settings = request.app.state.settings
    return (settings.public_url or str(request.base_url).rstrip("/")) + PREFIX


def _context(request: Request) -> SetContext:
    return SetContext(books_of(request), request.app.state.attribute_types)


def _options(request: Request) -> QueryOptions:
    check_version(request.headers)
    return read_options(request.query_params.multi_items())


def _check_custom_options(options: QueryOptions) -> None:
    """Raise Malformed for a custom option that no entity set has. Power BI sends those of a set with every request."""
    known_names = {name for entity_set in ENTITY_SETS.by_name.values() for name in entity_set.parameters.model_fields}
    for name in options.custom:
        if name not in known_names:
            nearest = nearest_names(name, known_names)
            fault = name_fault(f"/query/{name}", "Unknown option{}.", name, nearest, code="extra_forbidden")
            raise Malformed.of([fault])


def _respond(request: Request, content: bytes, content_type: str) -> Response:
    response = tagged_response(request, content, content_type=content_type)
    # Starlette adds a charset to some types; clients of OData compare the whole value.
    if response.status_code != 304:
        response.headers["Content-Type"] = content_type
    response.headers["Vary"] += ", Prefer"
    return response


@router.get("", openapi_extra=_READS_OPTIONS)
@router.get("/", openapi_extra=_READS_OPTIONS)
async def get_service(request: Request) -> Response:
    """List the entity sets: the OData service document."""
    options = _options(request)
    check_no_options(options, {"format"})
    _check_custom_options(options)
    form = choose_form(request.headers.get("accept", ""), options.system.get("format"))
    content = service_document(_root(request), list(ENTITY_SETS.by_name.values()), form)
    return _respond(request, content, form.content_type)


@router.get("/$metadata", openapi_extra=_READS_OPTIONS)
async def get_schema(request: Request) -> Response:
    """Return the schema of all entity sets as EDMX 4.0, or as CSDL JSON with `$format=json`."""
    options = _options(request)
    check_no_options(options, {"format"})
    _check_custom_options(options)
    form = choose_form(request.headers.get("accept", ""), options.system.get("format"), forms=(XML, JSON))
    context = _context(request)
    sets: Sets = [(own, await own.all_properties(context)) for own in ENTITY_SETS.by_name.values()]
    if form.media_type == XML:
        return _respond(request, metadata_xml(sets), XML)
    return _respond(request, write_json(metadata_json(sets)), JSON)


@router.get("/{entity_set}", openapi_extra=_READS_OPTIONS)
async def get_entities(request: Request, entity_set: str) -> Response:
    """Return entities of a set, or with a key in parentheses the one: `Accounts`, `Accounts('acme')`.

    The next page is at `@odata.nextLink`. Each entity set has custom query options besides, see the guide.
    """
    own_set, key = _find_set(entity_set)
    options = _options(request)
    context = _context(request)
    for _ in range(_MAX_READS):
        try:
            if key is not None:
                return await _entity_response(request, own_set, key, options, context)
            return await _page_response(request, own_set, options, context)
        except OtherType as other:
            context.attribute_types.remember(other.key, "text")
    raise Problem("The types of attributes keep changing. Retry the request.", code="internal_error")


@router.get("/{entity_set}/$count", openapi_extra=_READS_OPTIONS)
async def count_entities(request: Request, entity_set: str) -> Response:
    """Return the number of entities of a set that satisfy `$filter`, as a text."""
    own_set, key = _find_set(entity_set)
    if key is not None:
        raise _unknown_resource(entity_set)
    options = _options(request)
    check_no_options(options, {"filter"})
    context = _context(request)
    counting = QueryOptions({**options.system, "count": "true", "top": "0"}, options.custom)
    query = bind_query(counting, own_set, await own_set.all_properties(context))
    page = await own_set.load_page(context, query)
    return _respond(request, str(page.row_count).encode(), "text/plain")


@router.options("")
@router.options("/")
@router.options("/$metadata")
@router.options("/{entity_set}")
@router.options("/{entity_set}/$count")
async def list_methods(request: Request) -> Response:
    """Return the methods of all paths."""
    return Response(status_code=204, headers={"Allow": _ALLOWED_METHODS})


def _find_set(resource: str) -> tuple[EntitySet, str | None]:
    """Return the entity set of a part of a path, and the key in parentheses. Raises NotFound."""
    match = _RESOURCE.fullmatch(resource)
    if match is None or match["name"] not in ENTITY_SETS.by_name:
        raise _unknown_resource(match["name"] if match else resource)
    # The server leaves a slash within a key as %2F.
    return ENTITY_SETS.by_name[match["name"]], None if match["key"] is None else unquote(match["key"])


def _unknown_resource(name: str) -> NotFound:
    existing = list(ENTITY_SETS.by_name)
    advice = f"There are: {', '.join(existing)}."
    fault = name_fault(
        "/path/entity_set",
        "Unknown entity set{}.",
        name,
        nearest_names(name, existing),
        code="not_found",
        advice=advice,
    )
    return NotFound.of([fault])


async def _page_response(
    request: Request, entity_set: EntitySet, options: QueryOptions, context: SetContext
) -> Response:
    form = choose_form(request.headers.get("accept", ""), options.system.get("format"))
    size = page_size(request.headers.get("prefer", ""))
    properties = await entity_set.all_properties(context)
    query = bind_query(options, entity_set, properties, page_rows=size or PAGE_ROWS)
    page = await entity_set.load_page(context, query)
    root = _root(request)
    is_whole = len(query.selection) == len(properties)
    writer = EntityWriter(root, entity_set, query.selection, form, is_whole=is_whole)
    link = _next_link(request, root, entity_set, page, query.fingerprint)
    content = await run_aside(
        lambda: writer.page(page.rows, count=page.row_count, next_link=link), items=len(page.rows)
    )
    response = _respond(request, content, form.content_type)
    if size is not None:
        response.headers["Preference-Applied"] = f"odata.maxpagesize={size}"
    return response


def _next_link(request: Request, root: str, entity_set: EntitySet, page: EntityPage, fingerprint: str) -> str | None:
    """Return the URL of the next page. It never has a key of the API in it."""
    if page.next is None:
        return None
    left_out = {"top", "skip", "count", "skiptoken", "api_key"}
    items = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name.lower().removeprefix("$") not in left_out
    ]
    items.append(("$skiptoken", encode_position(page.next, fingerprint)))
    return f"{root}/{entity_set.name}?{urlencode(items, safe='$')}"


async def _entity_response(
    request: Request, entity_set: EntitySet, key: str, options: QueryOptions, context: SetContext
) -> Response:
    check_no_options(options, {"select", "format"})
    form = choose_form(request.headers.get("accept", ""), options.system.get("format"))
    properties = await entity_set.all_properties(context)
    query = bind_query(options, entity_set, properties, page_rows=1)
    condition = _key_condition(entity_set, {own.name: own for own in properties}, key)
    page = await entity_set.load_page(context, replace(query, filter=condition))
    if not page.rows:
        raise NotFound(f"{entity_set.name} has no entity with this key.")
    is_whole = len(query.selection) == len(properties)
    writer = EntityWriter(_root(request), entity_set, query.selection, form, is_whole=is_whole)
    return _respond(request, writer.entity(page.rows[0]), form.content_type)


def _key_condition(entity_set: EntitySet, properties: dict[str, Property], key: str) -> Expression:
    """Return the condition that an entity has a key. Raises Malformed."""
    values = parse_key(key)
    names = entity_set.key
    by_name = dict(zip(names, [values[0][1]], strict=False)) if values[0][0] is None else dict(values)
    if by_name.keys() != {*names} or len(values) != len(names):
        detail = f"The key of {entity_set.name} is {', '.join(names)}."
        raise Malformed.of([build_fault("/path/key", detail, code="invalid_filter")])
    conditions: list[Any] = []
    for name, constant in by_name.items():
        own = properties[str(name)]
        if kind_of(own.type) != kind_of(constant.type):
            raise Malformed.of([build_fault("/path/key", f"{name} is a {own.type}.", code="invalid_filter")])
        conditions.append(CompareNode("eq", Member(own), constant))
    condition = join_conditions(*conditions)
    assert condition is not None
    return condition
