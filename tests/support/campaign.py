"""Campaigns: tests on random data that can run for longer. `make campaign` runs each with many more examples."""

import os

_FACTOR = int(os.environ.get("CAMPAIGN", "1"))


def examples(count: int) -> int:
    """Return how many examples a test tries: `count` in the suite, and a multiple of it in a campaign."""
    return count * _FACTOR
