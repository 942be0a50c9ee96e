"""The OpenAPI document passes the rules of Spectral and OWASP; `.spectral.yaml` says why which rules do not apply."""

import json
import re
import shutil
from pathlib import Path

from tests.clients.tools import node_tool, run, write_document
from tests.support.node_packages import node_modules

ROOT = Path(__file__).parents[2]


def test_the_document_passes_spectral_and_the_rules_of_owasp(tmp_path: Path) -> None:
    document = write_document(tmp_path)
    shutil.copy(ROOT / ".spectral.yaml", tmp_path)
    (tmp_path / "node_modules").symlink_to(node_modules())
    output = run(node_tool("spectral"), "lint", document.name, "--fail-severity", "hint", "-f", "json", folder=tmp_path)
    assert json.loads(output or "[]") == []


def test_every_rule_that_is_left_out_has_a_reason() -> None:
    lines = (ROOT / ".spectral.yaml").read_text().splitlines()
    reason = False
    for line in lines:
        if line.lstrip().startswith("#") or not re.search(r": off$", line):
            reason = line.lstrip().startswith("#") or (reason and bool(line.strip()))
        else:
            assert reason, line
