"""The OpenAPI document passes the rules of Spectral and OWASP, and the service is what it says, as Schemathesis checks it.

`.spectral.yaml` and `schemathesis.toml` say why which rules and checks do not apply.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.clients.tools import node_tool, python_tool, run, write_document
from tests.support.campaign import examples
from tests.support.node_packages import node_modules
from tests.support.process import service_process
from tests.support.service import ADMIN_KEY

ROOT = Path(__file__).parents[2]


def test_the_document_passes_spectral_and_the_rules_of_owasp(tmp_path: Path) -> None:
    document = write_document(tmp_path)
    shutil.copy(ROOT / ".spectral.yaml", tmp_path)
    (tmp_path / "node_modules").symlink_to(node_modules())
    output = run(
        node_tool("spectral"),
        "lint",
        document.name,
        "--fail-severity",
        "hint",
        "-f",
        "json",
        "--quiet",
        folder=tmp_path,
    )
    assert json.loads(output or "[]") == []


def test_every_rule_that_is_left_out_has_a_reason() -> None:
    lines = (ROOT / ".spectral.yaml").read_text().splitlines()
    reason = False
    for line in lines:
        if line.lstrip().startswith("#") or not re.search(r": off$", line):
            reason = line.lstrip().startswith("#") or (reason and bool(line.strip()))
        else:
            assert reason, line


def test_an_exception_for_a_place_is_for_one_that_exists() -> None:
    document = json.loads((ROOT / "openapi" / "openapi.json").read_text(encoding="utf-8"))
    pointers = re.findall(r'"\*\*#(/.+)"', (ROOT / ".spectral.yaml").read_text(encoding="utf-8"))
    assert pointers
    for pointer in pointers:
        place: Any = document
        for part in pointer.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            assert name in place, pointer
            place = place[name]


def test_the_service_is_what_its_document_says(database: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "schemathesis.toml", tmp_path)
    shutil.copy(Path(__file__).parent / "schemathesis_hooks.py", tmp_path)
    count = examples(3)
    # The suite tries the same requests each time, a campaign others; it has the phases that take minutes, too.
    more = ["--seed", "1"] if count == 3 else ["--phases", "examples,coverage,fuzzing,stateful"]
    phases = [] if count > 3 else ["--phases", "examples,fuzzing"]
    options = ["--max-examples", str(count), "--continue-on-failure", "--no-color", "--warnings", "off", *phases, *more]
    with service_process(tmp_path, database, QUESTIONS_PER_MINUTE=1_000_000) as process:
        url, key = f"{process.url}/openapi.json", f"Authorization: Bearer {ADMIN_KEY}"
        run(python_tool("schemathesis"), "run", url, "-H", key, *options, folder=tmp_path)
