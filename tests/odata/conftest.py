"""The company that the tests of a module read."""

import pytest

from tests.odata.feeds import fill
from tests.support.service import Service


@pytest.fixture(scope="module")
def company(shared: Service) -> Service:
    """The company of `fill`. Tests that write take `service`."""
    fill(shared)
    return shared
