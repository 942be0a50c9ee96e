"""A minimal app to test a server with. The path of a request, or the environment variable TINY, makes it misbehave."""

import asyncio
import gc
import os
import time

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.core.settings import Settings
from app.server.middleware import App, Message, Receive, Scope, Send, wrap_app


def create() -> App:
    """Return the app within the middleware, as uvicorn loads it."""
    if os.environ.get("TINY") == "broken":
        raise RuntimeError("no such thing")
    return wrap_app(tiny_app, settings=Settings(_env_file=None))


async def tiny_app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await run_lifespan(receive, send)
        return
    match scope["path"].split("/")[1:]:
        case ["echo"]:
            await respond(send, await read_body(receive))
        case ["slow", seconds]:
            await asyncio.sleep(float(seconds))
            await respond(send, b"done")
        case ["late-body"]:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            await asyncio.sleep(60)
        case ["hang"]:
            time.sleep(60)  # noqa: ASYNC251 — the whole process hangs
        case ["large", parts]:
            await respond(send, *[bytes(64 * 2**20 // int(parts))] * int(parts))
        case ["unread"]:
            await respond(send, b"denied", status=401)
        case ["bodies"]:
            cycles = [own for own in gc.get_objects() if isinstance(own, RequestResponseCycle)]
            await respond(send, str(sum(len(own.body) for own in cycles)).encode())
        case ["kill"]:
            os._exit(9)
        case _:
            await respond(send, str(os.getpid()).encode())


async def run_lifespan(receive: Receive, send: Send) -> None:
    await receive()
    if os.environ.get("TINY") == "unstartable":
        await send({"type": "lifespan.startup.failed", "message": "Traceback\nBooksError: other books"})
        raise RuntimeError("other books")
    if os.environ.get("TINY") == "waiting":
        await asyncio.sleep(60)
    if os.environ.get("TINY") == "stuck":
        time.sleep(60)  # noqa: ASYNC251 — the whole process hangs
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if os.environ.get("TINY") == "endless":
        await asyncio.sleep(60)
    if os.environ.get("TINY") == "unstoppable":
        await send({"type": "lifespan.shutdown.failed", "message": "Traceback\nBooksError: other books"})
        return
    await send({"type": "lifespan.shutdown.complete"})


async def read_body(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def respond(send: Send, *parts: bytes, status: int = 200) -> None:
    headers = [(b"content-length", str(sum(map(len, parts))).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})
