"""In a network in which every address is a canary, the service reaches the public ones only."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.campaign import examples
from tests.support.process import ROOT
from tests.webhooks.sealed_network import PUBLIC_V6
from tests.webhooks.test_addresses import PUBLIC

UNSHARE = ["unshare", "--net", "--mount"]


@pytest.mark.own_database
def test_no_connection_reaches_a_canary_on_an_address_that_is_not_public(tmp_path: Path, database: str) -> None:
    """Whatever the host of the URL, at create, update, test, deliver and redeliver, and whatever its name leads to next."""
    if shutil.which("ip") is None or subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("this takes root, unshare and ip, so NO CANARY OF INTERNAL ADDRESSES WATCHES")
    tmp_path.chmod(0o755)
    program = [sys.executable, "-m", "tests.webhooks.sealed_network"]
    arguments = [str(tmp_path), database, str(examples(12)), str(examples(24))]
    run = subprocess.run(
        [*UNSHARE, *program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr[-4000:]
    report = json.loads(run.stdout)
    assert report["control"] == "status 302", "the canary sees what it should, and no redirect is followed"
    assert report["accepted"] == []
    for name, results in report["attempts"].items():
        assert results.keys() <= {"blocked_address", "no_address"}, (name, results)
        assert results["blocked_address"] > 0.8 * report["urls"] == 0.8 * sum(results.values()), (name, results)
    assert report["rebindings"].keys() == {"status", "blocked_address", "no_address"}, report["rebindings"]
    assert report["reached"].keys() == {PUBLIC, PUBLIC_V6}, report["reached"]
    assert sum(report["reached"].values()) == report["rebindings"]["status"] + 1
