"""Keys of presence: which user was active, and where."""

import hashlib
from functools import lru_cache
from typing import NamedTuple


class PresenceKey(NamedTuple):
    """A user of an account, with the presence and the subject (a feature) at which the user was active."""

    presence: str
    subject: str
    account_id: int
    user_key: int


@lru_cache(maxsize=200_000)
def user_key(account_id: int, user_id: str) -> int:
    """Return the 64-bit hash that stands for a user of one account."""
    name = account_id.to_bytes(8, signed=True) + user_id.encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), signed=True)
