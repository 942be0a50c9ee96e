"""Polls: GET requests whose answer depends on nothing but the question, the state of the data and the day.

An endpoint whose answer does so is marked `pollable`. `app.polling` recognizes its requests: it answers them from memory, or with
304 if the client has the answer of this state. Otherwise the endpoint answers, and the answer is kept.
"""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.http.answer_memory import AnswerMemory, KeptAnswer
from app.http.conditional import ANY

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

# Between the part of a tag that is the state and the part that is the body.
_SEPARATOR = "."
POLLABLE: set[Callable[..., Any]] = set()
# The member of a request's scope that has its poll.
_MEMBER = "csmetrics.poll"


def pollable(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint whose answer depends on nothing but the question, the data, the settings and the day.

    The data is what transactions by `Database.write` change, not what those by `Database.write_aside` do.
    """
    POLLABLE.add(endpoint)
    return endpoint


@dataclass(frozen=True, slots=True)
class Poll:
    """A request for a polled endpoint.

    question: a hash of the question. state: a hash of the question, the state of the data and the day; the tag of the answer
    begins with it. client_tags: which answers the client has. coding: the content coding that it accepts.
    """

    question: bytes
    state: str
    client_tags: tuple[str, ...]
    coding: str
    memory: AnswerMemory

    def current_tag(self) -> str | None:
        """Return the tag of the answer of this state, if the client has it; None if it has not, or if that is not known."""
        return next((tag for tag in self.client_tags if tag.partition(_SEPARATOR)[0] == self.state), None)

    def keep(self, tag: str, response: Response) -> "KeptResponse":
        """Return the response that sends an answer, which is kept. tag: that of the answer."""
        headers = [header for header in response.raw_headers if header[0] != b"content-length"]
        return KeptResponse(self, KeptAnswer(self.question, self.state, tag, headers, {"": bytes(response.body)}))


class KeptResponse(Response):
    """A response that sends an answer, in the content coding that the client accepts, and keeps it for the next request."""

    def __init__(self, poll: Poll, answer: KeptAnswer) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = answer.headers
        self._poll, self._answer = poll, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer.send(send, self._poll.coding)
        self._poll.memory.keep(self._answer)


CACHE_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Cookie, X-API-Key, Accept, Accept-Encoding",
}


def format_tag(tag: str) -> str:
    """Return an opaque tag as the value of the header ETag. It is weak, since compressed bodies have the same."""
    return f'W/"{tag}"'


def not_modified(tag: str, headers: Mapping[str, str] = CACHE_HEADERS) -> Response:
    """Return the response to a client that has the answer, with the client's own tag of it."""
    return Response(status_code=304, headers={**headers, "ETag": format_tag(tag)})


_RAW_CACHE_HEADERS = [(name.lower().encode(), value.encode()) for name, value in CACHE_HEADERS.items()]


def not_modified_headers(tag: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of that response."""
    return [(b"etag", format_tag(tag).encode("latin-1")), *_RAW_CACHE_HEADERS]


def set_poll(scope: MutableMapping[str, Any], poll: Poll) -> None:
    """Let the endpoint of a request know that it is a poll."""
    scope[_MEMBER] = poll


def poll_of(scope: Mapping[str, Any]) -> Poll | None:
    """Return the poll of a request; None for a request that is no poll."""
    poll: Poll | None = scope.get(_MEMBER)
    return poll


def complete_tag(poll: Poll | None, body_tag: str) -> str:
    """Return the opaque tag of an answer. body_tag: what changes whenever the body does."""
    return body_tag if poll is None else f"{poll.state}{_SEPARATOR}{body_tag}"


def known_tag(client_tags: tuple[str, ...], tag: str) -> str | None:
    """Return the client's own tag of the answer with this tag: one with the same body. None: it does not have that answer."""
    body_tag = tag.rpartition(_SEPARATOR)[2]
    if client_tags == (ANY,):
        return tag
    return next((own for own in client_tags if own.rpartition(_SEPARATOR)[2] == body_tag), None)
