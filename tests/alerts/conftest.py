"""Fixtures of the tests of alerts."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.alerts.alert_service import AlertService
from tests.support.service import Service


@pytest.fixture
def alerts(service: Service, query_database: Callable[[str], list[Any]]) -> AlertService:
    """A service with an endpoint for all topics of alerts; its alerts are evaluated when the test says so."""
    return AlertService(service, query_database)
