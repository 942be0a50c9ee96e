"""Fixtures of the tests of webhooks."""

from collections.abc import Iterator

import pytest

from tests.support.receiver import Receiver, receiver
from tests.support.service import Service
from tests.webhooks.hooks import Hooks, allowing_hooks


@pytest.fixture(scope="module")
def target() -> Iterator[Receiver]:
    """A receiver that the tests of a module share; each uses paths of its own."""
    with receiver() as own:
        yield own


@pytest.fixture
def hooks(service: Service) -> Iterator[Hooks]:
    """A service that may send to this machine."""
    with allowing_hooks(service) as own:
        yield own
