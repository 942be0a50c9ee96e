"""A whole data set, imported as its README says and compared with an independent computation from its files.

The data are a look-alike that the test makes, and the real ones too where RAVENSTACK_DIR names their folder.
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
from app.ingest.files.run_import import ImportSummary, run_import
from tests.ravenstack import files, numbers
from tests.ravenstack.numbers import Book, Row
from tests.support.service import Service

MAPPING = Path(__file__).parents[2] / "docs" / "examples" / "ravenstack.toml"
SPAN = {"start": "2023-01-01", "end": "2025-01-01"}
FILES = ("accounts", "subscriptions", "feature_usage", "support_tickets", "churn_events")
# Their rows have an `amount`, too: money as it is written.
MONEY = {"mrr", "mrr_opening", "mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr_reactivated", "arpa"}

# (metric, period, the values of the groupings...)
Place = tuple[str, ...]


class Period(NamedTuple):
    name: str
    start: date
    end: date


@pytest.fixture(scope="module", params=["look-alike", "real"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "look-alike":
        return files.make(tmp_path_factory.mktemp("ravenstack"))
    if "RAVENSTACK_DIR" not in os.environ:
        pytest.skip("RAVENSTACK_DIR does not name the data set's folder")
    return Path(os.environ["RAVENSTACK_DIR"])


@pytest.fixture(scope="module")
def books(folder: Path) -> dict[str, Book]:
    """The rows of the accounts of each plan."""
    return numbers.read(folder)


class Imported(NamedTuple):
    service: Service
    summary: ImportSummary
    report: Path


@pytest.fixture(scope="module")
def imported(copied: Callable[..., Any], folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    """A service with the data set in it, for tests that only ask."""
    report = tmp_path_factory.mktemp("import") / "report.csv"
    with copied() as url, Service(url).running() as running:
        yield Imported(running, bring_in(running, folder, report), report)


@pytest.fixture
def filled(imported: Imported) -> Service:
    return imported.service


def bring_in(service: Service, folder: Path, report: Path) -> ImportSummary:
    files = [files.path(folder, name) for name in FILES]
    with ImportReport(report) as noted:
        return service.run(
            run_import(
                service.books,
                files,
                mapping=load_mapping(MAPPING),
                report=noted,
                progress=lambda summary, consumed: None,
            )
        )


def by_month_and_plan(service: Service, metric: str, field: str = "value", **narrowed: Any) -> Counter[tuple[str, str]]:
    rows = service.rows(metric, **SPAN, group_by="plan_tier", **narrowed)
    return Counter({(row["period"], row["group"]["plan_tier"]): row[field] for row in rows if row[field]})


def test_a_data_set_comes_in_whole_and_its_numbers_are_those_of_its_files(imported: Imported, folder: Path) -> None:
    service, summary, report = imported
    records = sum(len(files.table(folder, name)) for name in FILES)
    with report.open(newline="") as file:
        reported = list(csv.DictReader(file))
    assert summary.rows == records
    assert (summary.problems, summary.rejected) == (0, 0)
    assert len(reported) == summary.skipped
    assert summary.accepted == files.events(folder).total()

    assert by_month_and_plan(service, "feature_uses") == files.feature_uses(folder)
    assert by_month_and_plan(service, "sessions") == files.sessions(folder)
    seconds = {key: total / 60 for key, total in files.session_seconds(folder).items()}
    assert by_month_and_plan(service, "average_session_minutes", "numerator") == pytest.approx(seconds, abs=1e-6)
    assert by_month_and_plan(service, "support_tickets") == files.tickets_opened(folder)
    assert by_month_and_plan(service, "csat", "denominator") == files.csat_responses(folder)
    assert by_month_and_plan(service, "csat", "numerator") == files.csat_satisfied(folder)
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

    def interrupt(limit: int) -> Callable[[ImportSummary, int], None]:
        def progress(summary: ImportSummary, consumed: int) -> None:
            if summary.accepted >= limit:
                raise Interruption

        return progress

    files = [files.path(folder, name) for name in FILES]
    with pytest.raises(Interruption), ImportReport(tmp_path / "cut.csv") as noted:
        run = run_import(
            service.books, files, mapping=load_mapping(MAPPING), report=noted, progress=interrupt(2_000)
        )
        service.run(run)
    bring_in(service, folder, tmp_path / "whole.csv")
    assert by_month_and_plan(service, "sessions") == files.sessions(folder)
    assert service.differences() == []


def periods(granularity: str) -> list[Period]:
    """The months or quarters of the two years."""
    months = {"month": 1, "quarter": 3}[granularity]
    firsts = [date(2023 + number // 12, number % 12 + 1, 1) for number in range(0, 25, months)]
    names = [f"{day:%Y-%m}" if granularity == "month" else f"{day.year}-Q{day.month // 3 + 1}" for day in firsts]
    return [Period(*one) for one in zip(names, firsts, firsts[1:], strict=False)]


def expected(books: Mapping[str, Book], *periods: Period) -> dict[Place, Row]:
    """Each metric in each period and book, placed by the book's name."""
    return {
        (metric, period.name, name): row
        for period in periods
        for name, book in books.items()
        for metric, row in numbers.numbers(book, period.start, period.end).items()
    }


def assert_answers(service: Service, wanted: Mapping[Place, Row], **question: Any) -> None:
    """What the service answers is just that: these rows and no others, with their proof."""
    metrics = sorted({metric for metric, *_ in wanted})
    answer = service.get("/v1/query", metrics=",".join(metrics), **question)
    rows = {(row["metric"], row["period"], *row["group"].values()): row for row in answer["rows"]}
    assert len(rows) == len(answer["rows"])
    assert rows.keys() == wanted.keys()
    assert [wrong for place in wanted for wrong in differences(place, rows[place], wanted[place])] == []


def differences(place: Place, got: Mapping[str, Any], wanted: Row) -> list[tuple[Any, ...]]:
    """(place, field, what the service says, what the files say)"""
    found = [
        (place, field, got[field], number and float(number))
        for field, number in zip(Row._fields[:4], wanted[:4], strict=True)
        if not same(got[field], number)
    ]
    if got.get("reason") != wanted.reason:
        found.append((place, "reason", got.get("reason"), wanted.reason))
    if place[0] in MONEY and wanted.value is not None:
        amount = f"{int(Fraction(wanted.value) * 100 + Fraction(1, 2)) / 100:.2f}"
        if got.get("amount") != amount:
            found.append((place, "amount", got.get("amount"), amount))
    return found


def same(got: float | None, wanted: int | Fraction | None) -> bool:
    """Answers have six decimals."""
    if got is None or wanted is None:
        return got is wanted
    return abs(got - float(wanted)) < 1e-6


def test_revenue_and_usage_of_every_month_and_plan_are_those_of_the_files(
    filled: Service, books: dict[str, Book]
) -> None:
    assert_answers(filled, expected(books, *periods("month")), **SPAN, group_by="plan_tier")


def test_the_numbers_of_all_accounts_are_those_of_the_files(filled: Service, books: dict[str, Book]) -> None:
    whole = numbers.together(books.values())
    wanted = {(metric, name): row for (metric, name, _), row in expected({"": whole}, *periods("month")).items()}
    assert_answers(filled, wanted, **SPAN)


def test_quarters_and_the_total_are_periods_of_their_own(filled: Service, books: dict[str, Book]) -> None:
    total = Period("total", date(2023, 1, 1), date(2025, 1, 1))
    wanted = expected(books, *periods("quarter"), total)
    assert_answers(filled, wanted, **SPAN, granularity="quarter", group_by="plan_tier", totals="true")


@pytest.mark.parametrize(
    ("start", "end"), [("2024-01-01", "2025-01-01"), ("2023-05-17", "2024-11-03"), ("2024-02-29", "2024-03-01")]
)
def test_any_range_is_a_period(filled: Service, books: dict[str, Book], start: str, end: str) -> None:
    wanted = expected(books, Period("total", date.fromisoformat(start), date.fromisoformat(end)))
    metrics = ",".join(sorted({metric for metric, *_ in wanted}))
    answer = filled.get("/v1/query", metrics=metrics, start=start, end=end, granularity="total", group_by="plan_tier")
    rows = {(row["metric"], row["period"], row["group"]["plan_tier"]): row for row in answer["rows"]}
    # In a short range a plan may have nothing of a metric; then it has no row, or one with nothing in it.
    assert {place for place, row in wanted.items() if any(row[:3])} <= rows.keys() <= wanted.keys()
    assert [wrong for place, row in rows.items() for wrong in differences(place, row, wanted[place])] == []


def test_mrr_by_plan_of_the_subscription_is_that_of_the_files(filled: Service, books: dict[str, Book]) -> None:
    whole = numbers.together(books.values())
    wanted = {
        (metric, period.name, plan): row
        for period in periods("month")
        for metric, day in (("mrr_opening", period.start), ("mrr", period.end))
        for plan, row in numbers.mrr_by_subscription_plan(whole, day).items()
    }
    assert_answers(filled, wanted, **SPAN, group_by="subject")


def test_features_are_adopted_as_the_files_say(filled: Service, books: dict[str, Book]) -> None:
    whole = numbers.together(books.values())
    quarter = Period("2024-Q2", date(2024, 4, 1), date(2024, 7, 1))
    named = {"granularity": "quarter", "period": quarter.name}
    rows = {
        ("feature_adoption_rate", quarter.name, feature): numbers.adoption(whole, *quarter[1:], [feature])
        for feature in numbers.features(whole)
    }
    # A feature that nobody used in the range has no row.
    assert_answers(filled, {place: row for place, row in rows.items() if row.numerator}, **named, group_by="subject")

    few = sorted(numbers.features(whole))[:3]
    of_any = {
        ("feature_adoption_rate", quarter.name, plan): numbers.adoption(book, *quarter[1:], few)
        for plan, book in books.items()
    }
    assert_answers(filled, of_any, **named, group_by="plan_tier", subject=few)
