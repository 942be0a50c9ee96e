"""Endpoints for API keys."""

from fastapi import APIRouter, Depends, Request, Response

from app.access import keys
from app.access.auth import books_of, requires
from app.access.keys import CREATED_KEY_SCHEMA, KEYS_SCHEMA, NewKey
from app.core.ids import PathId
from app.http.body import read_body
from app.http.openapi import body_schema
from app.http.responses import json_response

router = APIRouter(prefix="/v1/keys", tags=["access"], dependencies=[Depends(requires("admin"))])


@router.post(
    "",
    status_code=201,
    responses=CREATED_KEY_SCHEMA,
    response_class=Response,
    openapi_extra=body_schema(NewKey, {"name": "dashboard", "scopes": ["read"]}),
)
async def create_key(request: Request) -> Response:
    """Create an API key. Only this response shows the key."""
    body = await read_body(request, NewKey)
    key = await keys.create_key(books_of(request), name=body.name, scopes=body.scopes, expires_on=body.expires_on)
    response = json_response(request, key)
    response.status_code = 201
    return response


@router.get("", responses=KEYS_SCHEMA, response_class=Response)
async def list_keys(request: Request) -> Response:
    """List API keys. Secrets are never shown."""
    return json_response(request, {"keys": await keys.list_keys(books_of(request))})


@router.delete("/{key_id}", status_code=204, response_class=Response)
async def delete_key(request: Request, key_id: PathId) -> None:
    """Revoke an API key. It stops working at once, in every process."""
    await keys.revoke_key(books_of(request), id=key_id)
