"""A whole data set, imported as its README says and compared with an independent computation from its files.

The data are a look-alike that the test makes, and the real ones too where RAVENSTACK_DIR names their folder.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.ingest.files import importing, imports, mapping
from tests import ravenstack
from tests.service import Service

MAPPING = Path(__file__).parent.parent / "docs" / "examples" / "ravenstack.toml"
SPAN = {"start": "2023-01-01", "end": "2025-01-01"}
FILES = ("accounts", "subscriptions", "feature_usage", "support_tickets", "churn_events")


@pytest.fixture(params=["look-alike", "real"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "look-alike":
        return ravenstack.make(tmp_path / "data")
    if "RAVENSTACK_DIR" not in os.environ:
        pytest.skip("RAVENSTACK_DIR does not name the data set's folder")
    return Path(os.environ["RAVENSTACK_DIR"])


def bring_in(service: Service, folder: Path, report: Path) -> importing.Summary:
    files = [ravenstack.path(folder, name) for name in FILES]
    with imports.Report(report) as noted:
        return service.run(
            importing.run(
                service.books,
                files,
                mapping=mapping.load(MAPPING),
                report=noted,
                progress=lambda summary, consumed: None,
            )
        )


def by_month_and_plan(service: Service, metric: str, field: str = "value", **narrowed: Any) -> Counter[tuple[str, str]]:
    rows = service.rows(metric, **SPAN, group_by="plan_tier", **narrowed)
    return Counter({(row["period"], row["group"]["plan_tier"]): row[field] for row in rows if row[field]})


def test_a_data_set_comes_in_whole_and_its_numbers_are_those_of_its_files(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    summary = bring_in(service, folder, report)
    records = sum(len(ravenstack.table(folder, name)) for name in FILES)
    with report.open(newline="") as file:
        reported = list(csv.DictReader(file))
    assert summary.rows == records
    assert (summary.problems, summary.rejected) == (0, 0)
    assert len(reported) == summary.skipped
    assert summary.accepted == ravenstack.events(folder).total()

    assert by_month_and_plan(service, "feature_uses") == ravenstack.feature_uses(folder)
    assert by_month_and_plan(service, "sessions") == ravenstack.sessions(folder)
    seconds = {key: total / 60 for key, total in ravenstack.session_seconds(folder).items()}
    assert by_month_and_plan(service, "average_session_minutes", "numerator") == pytest.approx(seconds, abs=1e-6)
    assert by_month_and_plan(service, "support_tickets") == ravenstack.tickets_opened(folder)
    assert by_month_and_plan(service, "csat", "denominator") == ravenstack.csat_responses(folder)
    assert by_month_and_plan(service, "csat", "numerator") == ravenstack.csat_satisfied(folder)
    assert service.differences() == []


def test_importing_the_data_set_again_changes_nothing(service: Service, folder: Path, tmp_path: Path) -> None:
    first = bring_in(service, folder, tmp_path / "first.csv")
    before = service.get("/v1/query", metrics="sessions,csat,feature_uses", group_by="plan_tier", **SPAN)
    second = bring_in(service, folder, tmp_path / "second.csv")
    assert (second.accepted, second.duplicates) == (0, first.accepted + first.duplicates)
    assert (tmp_path / "first.csv").read_text() == (tmp_path / "second.csv").read_text()
    assert service.get("/v1/query", metrics="sessions,csat,feature_uses", group_by="plan_tier", **SPAN) == before


def test_an_interrupted_import_is_completed_by_another_run(service: Service, folder: Path, tmp_path: Path) -> None:
    class Interruption(Exception):
        pass

    def interrupt(limit: int) -> Callable[[importing.Summary, int], None]:
        def progress(summary: importing.Summary, consumed: int) -> None:
            if summary.accepted >= limit:
                raise Interruption

        return progress

    files = [ravenstack.path(folder, name) for name in FILES]
    with pytest.raises(Interruption), imports.Report(tmp_path / "cut.csv") as noted:
        run = importing.run(
            service.books, files, mapping=mapping.load(MAPPING), report=noted, progress=interrupt(2_000)
        )
        service.run(run)
    bring_in(service, folder, tmp_path / "whole.csv")
    assert by_month_and_plan(service, "sessions") == ravenstack.sessions(folder)
    assert service.differences() == []
