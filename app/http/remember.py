"""Remember what functions made of short texts that clients send again and again."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

Result = TypeVar("Result")

# Longer texts are not cached_function: a client could fill the memory with them.
_MAX_LENGTH = 500


def remember_short(maxsize: int) -> Callable[[Callable[[str], Result]], Callable[[str], Result]]:
    """Return a decorator that remembers the last results of a function of one text. maxsize: how many."""

    def decorate(function: Callable[[str], Result]) -> Callable[[str], Result]:
        cached_function = lru_cache(maxsize)(function)

        def call(text: str) -> Result:
            return cached_function(text) if len(text) <= _MAX_LENGTH else function(text)

        call.__doc__ = function.__doc__
        return call

    return decorate
