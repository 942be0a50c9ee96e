"""The back-test of a complete data set, imported with the day of each event as the day on which it was known.

The AUC is compared with scikit-learn's on the exported scores. The files are similar ones that the test writes, and also the
real ones if RAVENSTACK_DIR names their folder.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping_file import load_mapping
from app.ingest.files.run_import import run_import
from tests.health.backtest_history import score_rows
from tests.ravenstack import files
from tests.ravenstack.test_ravenstack import FILES, MAPPING, SPAN
from tests.ravenstack.test_ravenstack import folder as folder  # the fixture
from tests.support.service import Service


@pytest.fixture(scope="module")
def dated_service(
    copy_database: Callable[..., Any], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with the data set, as if every event had been recorded on its day."""
    temporary = tmp_path_factory.mktemp("dated")
    mapping = temporary / "dated.toml"
    dated_text = re.sub(
        r'^occurred_at = (".*")$', r"occurred_at = \1\nrecorded_on = \1", MAPPING.read_text(), flags=re.M
    )
    mapping.write_text(dated_text)
    with (
        copy_database() as url,
        Service(url).open() as service,
        ImportReport(temporary / "report.csv") as report,
    ):
        paths = [files.path(folder, name) for name in FILES]
        work = run_import(
            service.books, paths, mapping=load_mapping(mapping), report=report, progress=lambda progress: None
        )
        summary = service.run(work).summary
        assert (summary.problems, summary.rejected) == (0, 0)
        assert summary.accepted == files.event_counts(folder).total()
        yield service


@pytest.mark.parametrize("outcome", ["churned", "churned_or_contracted"])
@pytest.mark.parametrize("horizon_days", [30, 90])
def test_the_auc_is_that_of_scikit_learn_on_the_exported_scores(
    dated_service: Service, outcome: str, horizon_days: int
) -> None:
    question = SPAN | {"outcome": outcome, "horizon_days": horizon_days}
    report = dated_service.get("/v1/health-model/backtest", **question)
    rows = [row for row in score_rows(dated_service, **question) if row["left_out"] is None]
    assert report["total"]["observations"] == len(rows) > 500
    if len({row["account"] for row in rows if row["churned"]}) < 10:
        assert (report["verdict"], report["reason"], report["auc"]) == ("cannot_tell", "too_few_churned", None)
    else:
        assert report["auc"] == pytest.approx(area(rows), abs=1e-6)
        low, high = report["auc_interval"]
        assert low <= report["auc"] <= high
    rows_by_cut_off = defaultdict(list)
    for row in rows:
        rows_by_cut_off[row["cut_off"]].append(row)
    areas = {own["cut_off"]: own["auc"] for own in report["cut_offs"] if own["auc"] is not None}
    assert areas == {day: pytest.approx(area(rows_by_cut_off[day]), abs=1e-6) for day in areas}


def test_the_back_test_of_the_real_data_says_what_the_guide_says(dated_service: Service, folder: Path) -> None:
    """Too few accounts leave; the score cannot predict who pays less, since the data set is random."""
    if len(files.table(folder, "accounts")) != 500:
        pytest.skip("this is about the real files")
    report = dated_service.get("/v1/health-model/backtest", **SPAN)
    assert (report["verdict"], report["reason"]) == ("cannot_tell", "too_few_churned")
    report = dated_service.get("/v1/health-model/backtest", **SPAN, outcome="churned_or_contracted")
    assert (report["verdict"], report["auc"]) == ("no_better_than_chance", pytest.approx(0.5, abs=0.03))


def area(rows: list[dict[str, Any]]) -> float:
    """The AUC by scikit-learn, for which a higher number has to mean more risk."""
    # Imported here, since every worker of the suite would import it for a second.
    from sklearn.metrics import roc_auc_score

    result: float = roc_auc_score([row["churned"] for row in rows], [-row["score"] for row in rows])
    return result
