"""Fixtures of the tests of webhooks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import receiver as remembering
from tests.support.receiver import Receiver
from tests.support.service import Service
from tests.webhooks.hooks import Hooks, allowing_hooks
from tests.webhooks.outside import Crm, ExampleReceiver, crm_server, environment, example_receiver
from tests.webhooks.recipes import TOPICS


@pytest.fixture(scope="module")
def target() -> Iterator[Receiver]:
    """A receiver that the tests of a module share; each uses paths of its own."""
    with remembering.receiver() as own:
        yield own


@pytest.fixture
def hooks(service: Service) -> Iterator[Hooks]:
    """A service that may send to this machine."""
    with allowing_hooks(service) as own:
        yield own


@pytest.fixture
def outside() -> Iterator[tuple[Crm, str]]:
    """What is outside: a CRM, and its address."""
    with crm_server() as own:
        yield own


@pytest.fixture
def crm(outside: tuple[Crm, str]) -> Crm:
    """The CRM alone."""
    return outside[0]


@pytest.fixture
def receiver(
    request: Any, service: Service, hooks: Hooks, outside: tuple[Crm, str], tmp_path: Path
) -> Iterator[ExampleReceiver]:
    """A receiver with an endpoint of ours. The clock is the real one, since signatures are valid for five minutes."""
    service.now = datetime.now(UTC)
    port_of_nobody = "http://127.0.0.1:1025/hooks"
    endpoint = hooks.create(port_of_nobody, *TOPICS[request.param])
    with example_receiver(request.param, tmp_path, environment(outside[1], WEBHOOK_SECRET=endpoint["secret"])) as own:
        hooks.patch(endpoint["id"], url=own.url)
        own.endpoint = endpoint["id"]
        yield own
