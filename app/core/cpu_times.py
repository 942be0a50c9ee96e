"""How much of the processor a guest uses: a thread that does its work beside the requests of a process."""

import time
from pathlib import Path
from typing import NamedTuple, Self

# Of one processor: a part of what the process leaves, and a little when it is busy.
_MIN_CPU_SHARE, _MAX_CPU_SHARE, _LEFT_SHARE = 0.04, 0.3, 0.6


# Of the main thread: nanoseconds on a processor, nanoseconds for which it has waited for one, and more.
_MAIN_THREAD = Path("/proc/self/schedstat")


class CpuTimes(NamedTuple):
    """The seconds of the processor that this thread and the whole process have used by now, and the time.

    wait: for how long the main thread has waited for a processor. On a machine that is busy with other things it is no less
    busy than one that computes. Linux says so; elsewhere it is 0.
    """

    thread: float
    process: float
    wait: float
    at: float

    @classmethod
    def now(cls) -> Self:
        """Return the times of the thread that calls this."""
        return cls(time.thread_time(), time.process_time(), _load_waited_seconds(), time.monotonic())

    def rest_after(self, later: Self) -> float:
        """Return how many seconds to rest, so that from these times on the thread has used no more than its share.

        It is negative if the thread has used less.
        """
        used, seconds = later.thread - self.thread, later.at - self.at
        # Only one thread computes at a time, so what the others use is not there for this one.
        load = (later.process - self.process - used + later.wait - self.wait) / max(seconds, 0.001)
        share = max(_MIN_CPU_SHARE, _MAX_CPU_SHARE - _LEFT_SHARE * max(0, load))
        return used / share - seconds


def _load_waited_seconds() -> float:
    try:
        return int(_MAIN_THREAD.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class RestAccount:
    """How long a thread has to rest that never stops: also while it rests, what it has begun goes on and uses the processor."""

    def __init__(self) -> None:
        self._last = CpuTimes.now()
        self._seconds = 0.0

    def seconds(self) -> float:
        """Return how long to rest now. What is not rested is still owed the next time; what was not used is not saved up."""
        now = CpuTimes.now()
        self._seconds = max(0.0, self._seconds + self._last.rest_after(now))
        self._last = now
        return self._seconds
