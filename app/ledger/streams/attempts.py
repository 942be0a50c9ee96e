"""What is begun, completed, and perhaps begun again: a goal, an onboarding."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from app.ledger.streams.define import StreamEvent

_SECOND = timedelta(seconds=1)


class Attempt(NamedTuple):
    """The happenings from a beginning until the next one; completed_at: when it first was, None: it is not yet."""

    happenings: Sequence[StreamEvent]
    completed_at: datetime | None

    @property
    def began_at(self) -> datetime:
        return self.happenings[0].at

    @property
    def seconds(self) -> int:
        """The whole seconds that it took; 0 while it is not completed."""
        return (self.completed_at - self.began_at) // _SECOND if self.completed_at else 0


def attempts(happenings: Sequence[StreamEvent], *, start: str, completion: str) -> Iterator[Attempt]:
    """The attempts, in order; `start` and `completion` are types of events.

    A start before the completion changes nothing, one after it begins another attempt. Whatever is heard of it first
    begins it, be it its completion; what else comes after the completion belongs to what was completed.
    """
    begun: list[StreamEvent] = []
    completed_at: datetime | None = None
    for happening in happenings:
        if happening.type == start and completed_at is not None:
            yield Attempt(begun, completed_at)
            begun, completed_at = [], None
        elif happening.type == completion and completed_at is None:
            completed_at = happening.at
        begun.append(happening)
    if begun:
        yield Attempt(begun, completed_at)
