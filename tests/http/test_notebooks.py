"""The code that the page about notebooks prints, as it stands there."""

import re
from pathlib import Path
from typing import Any

from tests.support.process import ROOT, service_process
from tests.support.service import ADMIN_KEY, account_update, event

PAGE = ROOT / "docs" / "bi" / "notebooks.md"


def test_the_code_for_notebooks_reads_the_numbers(database: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 7
    with service_process(tmp_path, database) as service:
        events = [
            account_update("acme", at="2026-01-01T00:00:00Z", plan="pro"),
            account_update("bolt", at="2026-01-01T00:00:00Z", plan="free"),
            event("subscription.changed", "acme", at="2026-01-05", subscription_id="s", mrr="100.50"),
            event("survey.responded", "acme", at="2026-02-01", survey="nps", score=9),
        ]
        assert service.request("POST", "/v1/events", json=events).is_success
        names: dict[str, Any] = {"as_of": "2026-04-10"}
        for block in blocks:
            code = block.replace("https://metrics.example", service.url).replace("csm_…", ADMIN_KEY)
            exec(compile(code, str(PAGE), "exec"), names)
    assert names["table"]["pro"].max() == 100.5
    assert names["frame"]["value"].max() == 100.5
    assert names["nps"]["start"].dtype.kind == "M" and names["nps"]["value"].max() == 100
    assert names["chart"].to_dict()["usermeta"]["chart"] == "series"
    assert len(names["known"]) == 12
