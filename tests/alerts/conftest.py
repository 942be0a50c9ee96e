"""Fixtures of the tests of alerts."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.alerts.bell import Bell
from tests.support.service import Service


@pytest.fixture
def bell(service: Service, query_database: Callable[[str], list[Any]]) -> Bell:
    """A service with an endpoint for all topics of alerts; its alerts are evaluated when the test says so."""
    return Bell(service, query_database)
