"""The page: its document at the address of each view, its files, and the session of the browser."""

from html import escape
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.access.auth import Caller, books_of, requires
from app.access.sessions import COOKIE, SignIn, end_session, sign_in
from app.core.errors import NotFound
from app.core.settings import Settings
from app.http.body import read_body
from app.http.compression import choose_coding
from app.http.responses import json_response
from app.ui.answers import Questions, stream_answers
from app.ui.assets import FOLDER, load_assets

# The first parts of the addresses of the views besides the overview. The page finds the view itself.
VIEWS = ("explore", "retention", "accounts", "voice", "scorecard", "health-model", "data")
# Nothing inline, nothing from elsewhere, no `eval`; nobody shows the page in a frame.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'self'",
        "frame-ancestors 'none'",
    )
)
_IMMUTABLE = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


async def show_page(request: Request) -> Response:
    """Return the document of the page, which is the same for all views and says nothing about the data."""
    settings: Settings = request.app.state.settings
    prefix = settings.path_prefix
    assets = load_assets()
    links = [f'<link rel="modulepreload" href="{{{{static}}}}/{name}" />' for name in assets.modules]
    document = (FOLDER / "index.html").read_text(encoding="utf-8").replace("{{modules}}", "\n    ".join(links))
    document = document.replace("{{base}}", escape(f"{prefix}/")).replace(
        "{{static}}", escape(f"{prefix}/static/{assets.version}")
    )
    headers = {
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-cache",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return Response(document, media_type="text/html", headers=headers)


for _path in (*(f"/{view}" for view in VIEWS), "/accounts/{account_id}"):
    router.add_api_route(_path, show_page, response_class=Response)


@router.get("/", response_class=Response)
async def index(request: Request) -> Response:
    """Show a person with a browser the page, and tell a program which paths need no key."""
    if "text/html" in request.headers.get("accept", ""):
        response = await show_page(request)
    else:
        prefix = request.scope.get("root_path", "")
        names = {"documentation": "/docs", "openapi": "/openapi.json", "health": "/healthz", "readiness": "/readyz"}
        links = {name: f"{prefix}{path}" for name, path in names.items()}
        response = JSONResponse({"name": request.app.title, "version": request.app.version, **links})
    response.headers["Vary"] = "Accept"
    return response


@router.get("/static/{version}/{path:path}", response_class=Response)
async def get_asset(request: Request, version: str, path: str) -> Response:
    """Return a file of the page. The address of another version is not found: a page never mixes files of two versions."""
    assets = load_assets()
    asset = assets.files.get(path) if version == assets.version else None
    if asset is None:
        raise NotFound("There is no such file. Load the page again.")
    coding, body = await asset.encode(choose_coding(request.headers.get("accept-encoding", "")))
    headers = {"Cache-Control": _IMMUTABLE, "Vary": "Accept-Encoding"} | (
        {"Content-Encoding": coding} if coding else {}
    )
    return Response(body, media_type=asset.content_type, headers=headers)


@router.post("/answers", response_class=Response)
async def get_answers(request: Request, caller: Caller = Depends(requires())) -> Response:
    """Answer several questions at once; each needs the scopes of its own endpoint."""
    questions = await read_body(request, Questions)
    answers = stream_answers(request, questions)
    return StreamingResponse(answers, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


@router.get("/session", response_class=Response)
async def get_session(request: Request, caller: Caller = Depends(requires())) -> Response:
    """Return who asks, and what the page has to know of the books."""
    books = books_of(request)
    fields = {
        "id": caller.id,
        "scopes": sorted(caller.scopes),
        "currency": books.currency,
        "timezone": request.app.state.settings.reporting_timezone,
        "today": books.today(),
    }
    return json_response(request, fields)


@router.post("/session", response_class=Response)
async def create_session(request: Request) -> Response:
    """Sign a browser in: the cookie of the response is its key from now on."""
    body = await read_body(request, SignIn)
    settings: Settings = request.app.state.settings
    session = await sign_in(books_of(request), settings, body)
    response = json_response(request, {"id": session.id, "name": session.name, "scopes": session.scopes})
    response.status_code = 201
    response.set_cookie(COOKIE, session.secret, **_cookie_attributes(request))
    return response


@router.delete("/session", status_code=204, response_class=Response)
async def delete_session(request: Request, caller: Caller = Depends(requires())) -> Response:
    """Sign a browser out."""
    await end_session(books_of(request), id=caller.id)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, **_cookie_attributes(request))
    return response


def _cookie_attributes(request: Request) -> dict[str, Any]:
    """Return the attributes of the cookie. Without an age, the browser deletes it when it is closed."""
    settings: Settings = request.app.state.settings
    is_secure = request.url.scheme == "https" or (settings.public_url or "").startswith("https:")
    return {"path": f"{settings.path_prefix}/", "secure": is_secure, "httponly": True, "samesite": "strict"}
