"""A short kill campaign of webhooks: the service and both workers, each once. `make campaign` kills 100 times."""

import shutil
from pathlib import Path

import pytest

from tests.webhooks.kill_campaign import run_webhook_campaign


@pytest.mark.own_database
def test_after_kills_of_workers_and_service_all_has_arrived_with_one_id_and_the_same_bytes(
    tmp_path: Path, database: str
) -> None:
    if shutil.which("node") is None:
        pytest.skip("the program node is missing, so NO RECEIVER IN ANOTHER LANGUAGE VERIFIES SIGNATURES")
    outcome = run_webhook_campaign(tmp_path, database, kills=3, seed=1, waits_for_leases=False)
    assert outcome.is_clean, str(outcome)
    assert set(outcome.kills) == {"service", "worker"} and outcome.attempts >= outcome.messages
