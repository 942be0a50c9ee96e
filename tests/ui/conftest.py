"""One company and one service for all tests of the views."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.company import fill_company
from tests.support.process import ServiceProcess, service_process


@pytest.fixture(scope="session")
def company(copy_database: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with a company that has some of everything, under hostile names. Tests only read it."""
    with copy_database() as url:
        fill_company(url)
        with service_process(tmp_path_factory.mktemp("company"), url) as process:
            yield process
