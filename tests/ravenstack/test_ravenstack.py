"""A complete data set is imported by its mapping and compared with an independent computation from its files.

The files are similar ones that the test writes, and also the real ones if RAVENSTACK_DIR names their folder.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping_file import load_mapping
from app.ingest.files.run_import import ImportProgress, ImportSummary, run_import
from tests.ravenstack import files, numbers
from tests.ravenstack.numbers import Dataset, Row
from tests.support.service import Service

MAPPING = Path(__file__).parents[2] / "docs" / "examples" / "ravenstack.toml"
SPAN = {"start": "2023-01-01", "end": "2025-01-01"}
FILES = ("accounts", "subscriptions", "feature_usage", "support_tickets", "churn_events")
# The rows of these metrics have an `amount`, too: money as text.
MONEY = {"mrr", "mrr_opening", "mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr_reactivated", "arpa"}

# (metric, period, the values of the groupings...)
RowKey = tuple[str, ...]


class Period(NamedTuple):
    name: str
    start: date
    end: date


@pytest.fixture(scope="module", params=["similar", "real"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "similar":
        return files.write_similar_files(tmp_path_factory.mktemp("ravenstack"))
    if "RAVENSTACK_DIR" not in os.environ:
        pytest.skip("RAVENSTACK_DIR does not name the data set's folder")
    return Path(os.environ["RAVENSTACK_DIR"])


@pytest.fixture(scope="module")
def datasets(folder: Path) -> dict[str, Dataset]:
    """Return the rows of the accounts of each plan."""
    return numbers.read_datasets(folder)


class ImportResult(NamedTuple):
    service: Service
    summary: ImportSummary
    report: Path


@pytest.fixture(scope="module")
def import_result(
    copy_database: Callable[..., Any], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ImportResult]:
    """Return a service with the data set, for tests that change nothing."""
    report = tmp_path_factory.mktemp("import") / "report.csv"
    with copy_database() as url, Service(url).open() as service:
        yield ImportResult(service, import_files(service, folder, report), report)


@pytest.fixture
def ravenstack_service(import_result: ImportResult) -> Service:
    return import_result.service


def import_files(service: Service, folder: Path, report: Path) -> ImportSummary:
    paths = [files.path(folder, name) for name in FILES]
    with ImportReport(report) as report_file:
        work = run_import(
            service.books,
            paths,
            mapping=load_mapping(MAPPING),
            report=report_file,
            progress=lambda progress: None,
        )
        return service.run(work).summary


def by_month_and_plan(service: Service, metric: str, field: str = "value", **question: Any) -> Counter[tuple[str, str]]:
    rows = service.rows(metric, **SPAN, group_by="plan_tier", **question)
    return Counter({(row["period"], row["group"]["plan_tier"]): row[field] for row in rows if row[field]})


def test_an_import_is_complete_and_its_numbers_are_those_of_the_files(
    import_result: ImportResult, folder: Path
) -> None:
    service, summary, report = import_result
    records = sum(len(files.table(folder, name)) for name in FILES)
    with report.open(newline="") as file:
        reported = list(csv.DictReader(file))
    assert summary.rows == records
    assert (summary.problems, summary.rejected) == (0, 0)
    assert len(reported) == summary.skipped
    assert summary.accepted == files.event_counts(folder).total()

    assert by_month_and_plan(service, "feature_uses") == files.feature_uses(folder)
    assert by_month_and_plan(service, "sessions") == files.sessions(folder)
    seconds = {key: total / 60 for key, total in files.session_seconds(folder).items()}
    assert by_month_and_plan(service, "average_session_minutes", "numerator") == pytest.approx(seconds, abs=1e-6)
    assert by_month_and_plan(service, "support_tickets") == files.tickets_opened(folder)
    assert by_month_and_plan(service, "csat", "denominator") == files.csat_responses(folder)
    assert by_month_and_plan(service, "csat", "numerator") == files.csat_satisfied(folder)
    assert service.differences() == []


def test_importing_the_files_again_changes_nothing(service: Service, folder: Path, tmp_path: Path) -> None:
    first = import_files(service, folder, tmp_path / "first.csv")
    before = service.get("/v1/query", metrics="sessions,csat,feature_uses", group_by="plan_tier", **SPAN)
    second = import_files(service, folder, tmp_path / "second.csv")
    assert (second.accepted, second.duplicates) == (0, first.accepted + first.duplicates)
    assert (tmp_path / "first.csv").read_text() == (tmp_path / "second.csv").read_text()
    assert service.get("/v1/query", metrics="sessions,csat,feature_uses", group_by="plan_tier", **SPAN) == before


def test_an_interrupted_import_is_completed_by_another_run(service: Service, folder: Path, tmp_path: Path) -> None:
    class Interruption(Exception):
        pass

    def interrupt(limit: int) -> Callable[[ImportProgress], None]:
        def show(progress: ImportProgress) -> None:
            if progress.summary.accepted >= limit:
                raise Interruption

        return show

    paths = [files.path(folder, name) for name in FILES]
    with pytest.raises(Interruption), ImportReport(tmp_path / "cut.csv") as report_file:
        run = run_import(
            service.books, paths, mapping=load_mapping(MAPPING), report=report_file, progress=interrupt(2_000)
        )
        service.run(run)
    import_files(service, folder, tmp_path / "whole.csv")
    assert by_month_and_plan(service, "sessions") == files.sessions(folder)
    assert service.differences() == []


def periods(granularity: str) -> list[Period]:
    """Return the months or quarters of the two years."""
    months = {"month": 1, "quarter": 3}[granularity]
    firsts = [date(2023 + number // 12, number % 12 + 1, 1) for number in range(0, 25, months)]
    names = [f"{day:%Y-%m}" if granularity == "month" else f"{day.year}-Q{day.month // 3 + 1}" for day in firsts]
    return [Period(*period) for period in zip(names, firsts, firsts[1:], strict=False)]


def rows_of(datasets: Mapping[str, Dataset], *periods: Period) -> dict[RowKey, Row]:
    """Return the row of each metric by metric, period and name of the dataset."""
    return {
        (metric, period.name, name): row
        for period in periods
        for name, dataset in datasets.items()
        for metric, row in numbers.metric_rows(dataset, period.start, period.end).items()
    }


def assert_answers(service: Service, expected_rows: Mapping[RowKey, Row], **question: Any) -> None:
    """Check that the service answers exactly these rows, with their proof."""
    metrics = sorted({metric for metric, *_ in expected_rows})
    answer = service.get("/v1/query", metrics=",".join(metrics), **question)
    rows = {(row["metric"], row["period"], *row["group"].values()): row for row in answer["rows"]}
    assert len(rows) == len(answer["rows"])
    assert rows.keys() == expected_rows.keys()
    assert [difference for key, row in expected_rows.items() for difference in differences(key, rows[key], row)] == []


def differences(key: RowKey, actual: Mapping[str, Any], expected: Row) -> list[tuple[Any, ...]]:
    """Return the differences of a row as (key, field, what the service says, what the files say)."""
    different = [
        (key, field, actual[field], number and float(number))
        for field, number in zip(Row._fields[:4], expected[:4], strict=True)
        if not is_same(actual[field], number)
    ]
    if actual.get("reason") != expected.reason:
        different.append((key, "reason", actual.get("reason"), expected.reason))
    if key[0] in MONEY and expected.value is not None:
        amount = f"{int(Fraction(expected.value) * 100 + Fraction(1, 2)) / 100:.2f}"
        if actual.get("amount") != amount:
            different.append((key, "amount", actual.get("amount"), amount))
    return different


def is_same(actual: float | None, expected: int | Fraction | None) -> bool:
    """Return whether a number of an answer, which has six decimals, is the expected one."""
    if actual is None or expected is None:
        return actual is expected
    return abs(actual - float(expected)) < 1e-6


def test_revenue_and_usage_of_every_month_and_plan_are_those_of_the_files(
    ravenstack_service: Service, datasets: dict[str, Dataset]
) -> None:
    assert_answers(ravenstack_service, rows_of(datasets, *periods("month")), **SPAN, group_by="plan_tier")


def test_the_numbers_of_all_accounts_are_those_of_the_files(
    ravenstack_service: Service, datasets: dict[str, Dataset]
) -> None:
    merged = numbers.merge(datasets.values())
    expected_rows = {(metric, name): row for (metric, name, _), row in rows_of({"": merged}, *periods("month")).items()}
    assert_answers(ravenstack_service, expected_rows, **SPAN)


def test_quarters_and_the_total_are_computed_as_periods(
    ravenstack_service: Service, datasets: dict[str, Dataset]
) -> None:
    total = Period("total", date(2023, 1, 1), date(2025, 1, 1))
    expected_rows = rows_of(datasets, *periods("quarter"), total)
    assert_answers(
        ravenstack_service, expected_rows, **SPAN, granularity="quarter", group_by="plan_tier", totals="true"
    )


@pytest.mark.parametrize(
    ("start", "end"), [("2024-01-01", "2025-01-01"), ("2023-05-17", "2024-11-03"), ("2024-02-29", "2024-03-01")]
)
def test_any_range_is_a_period(ravenstack_service: Service, datasets: dict[str, Dataset], start: str, end: str) -> None:
    expected_rows = rows_of(datasets, Period("total", date.fromisoformat(start), date.fromisoformat(end)))
    metrics = ",".join(sorted({metric for metric, *_ in expected_rows}))
    answer = ravenstack_service.get(
        "/v1/query", metrics=metrics, start=start, end=end, granularity="total", group_by="plan_tier"
    )
    rows = {(row["metric"], row["period"], row["group"]["plan_tier"]): row for row in answer["rows"]}
    # In a short range a plan may have nothing of a metric; then it has no row, or one with nothing in it.
    assert {key for key, row in expected_rows.items() if any(row[:3])} <= rows.keys() <= expected_rows.keys()
    assert [difference for key, row in rows.items() for difference in differences(key, row, expected_rows[key])] == []


def test_mrr_by_plan_of_the_subscription_is_that_of_the_files(
    ravenstack_service: Service, datasets: dict[str, Dataset]
) -> None:
    merged = numbers.merge(datasets.values())
    expected_rows = {
        (metric, period.name, plan): row
        for period in periods("month")
        for metric, day in (("mrr_opening", period.start), ("mrr", period.end))
        for plan, row in numbers.mrr_by_subscription_plan(merged, day).items()
    }
    assert_answers(ravenstack_service, expected_rows, **SPAN, group_by="subject")


def test_the_adoption_of_features_is_that_of_the_files(
    ravenstack_service: Service, datasets: dict[str, Dataset]
) -> None:
    merged = numbers.merge(datasets.values())
    quarter = Period("2024-Q2", date(2024, 4, 1), date(2024, 7, 1))
    question = {"granularity": "quarter", "period": quarter.name}
    rows = {
        ("feature_adoption_rate", quarter.name, feature): numbers.adoption(merged, *quarter[1:], [feature])
        for feature in numbers.features(merged)
    }
    # A feature that nobody used in the range has no row.
    assert_answers(
        ravenstack_service, {key: row for key, row in rows.items() if row.numerator}, **question, group_by="subject"
    )

    three_features = sorted(numbers.features(merged))[:3]
    any_of_three = {
        ("feature_adoption_rate", quarter.name, plan): numbers.adoption(dataset, *quarter[1:], three_features)
        for plan, dataset in datasets.items()
    }
    assert_answers(ravenstack_service, any_of_three, **question, group_by="plan_tier", subject=three_features)
