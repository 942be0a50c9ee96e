"""The smallest app that a server can be tried with; it is told how to misbehave by its path or by the environment."""

import asyncio
import os
import time

from app.core.settings import Settings
from app.server.middleware import App, Message, Receive, Scope, Send, wrap_app


def create() -> App:
    if os.environ.get("TINY") == "broken":
        raise RuntimeError("no such thing")
    return wrap_app(tiny, settings=Settings(_env_file=None))


async def tiny(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    match scope["path"].split("/")[1:]:
        case ["echo"]:
            await answer(send, await body_of(receive))
        case ["slow", seconds]:
            await asyncio.sleep(float(seconds))
            await answer(send, b"done")
        case ["hang"]:
            time.sleep(60)  # noqa: ASYNC251 — the whole process hangs
        case ["large", pieces]:
            await answer(send, *[bytes(64 * 2**20 // int(pieces))] * int(pieces))
        case ["unread"]:
            await answer(send, b"no, thanks", status=401)
        case ["kill"]:
            os._exit(9)
        case _:
            await answer(send, str(os.getpid()).encode())


async def live(receive: Receive, send: Send) -> None:
    await receive()
    if os.environ.get("TINY") == "unstartable":
        await send({"type": "lifespan.startup.failed", "message": "Traceback\nBooksError: other books"})
        raise RuntimeError("other books")
    if os.environ.get("TINY") == "waiting":
        await asyncio.sleep(60)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if os.environ.get("TINY") == "endless":
        await asyncio.sleep(60)
    await send({"type": "lifespan.shutdown.complete"})


async def body_of(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def answer(send: Send, *pieces: bytes, status: int = 200) -> None:
    headers = [(b"content-length", str(sum(map(len, pieces))).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})
