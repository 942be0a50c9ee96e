"""Runs of an import against the database: what comes in, what a dry run says of it, and what can be repaired."""

import csv
import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.errors import Invalid
from app.database import tables
from app.ingest.files.mapping_file import load_mapping
from app.ingest.files.name_check import check_names
from app.ingest.files.run_import import ImportOptions, ImportProgress, ImportResult, ImportSummary
from tests.support.imports import import_files
from tests.support.service import Service, event, session

SESSIONS = """
[[source]]
file = "sessions*.csv"
columns.seconds = "integer"
[[source.event]]
type = "session.ended"
id = "{id}"
account_id = "{account}"
user_id = "ada"
occurred_at = "{at}"
recorded_on = "{known}"
data = { duration_seconds = "{seconds}" }
"""
LIVE = SESSIONS.replace('recorded_on = "{known}"\n', "")
COUNT_EVENTS = sa.select(sa.func.count()).select_from(tables.event)
HEADER = "id,account,at,known,seconds\n"


class Importer:
    """Imports files into a service. `report` has the lines of the last report."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder = service, folder
        self.steps: list[ImportProgress] = []

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content, "utf-8")

    def run(self, mapping: str, *names: str, **options: bool) -> ImportResult:
        """Import files of the folder. mapping: its text."""
        self.steps = []
        chosen = ImportOptions(**options)
        return import_files(
            self.service, self.folder, *names, mapping=mapping, progress=self.steps.append, options=chosen
        )

    def counts(self, mapping: str, *names: str, **options: bool) -> tuple[int, int, int, int]:
        """Return how many rows have problems, and how many events are accepted, duplicates and rejected."""
        summary = self.run(mapping, *names, **options).summary
        return summary.problems, summary.accepted, summary.duplicates, summary.rejected

    @property
    def report(self) -> list[dict[str, str]]:
        with (self.folder / "report.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def events(self) -> int:
        """Return how many events are stored."""
        return int(
            self.service.run(self.service.books.database.read(lambda connection: connection.scalar(COUNT_EVENTS)))
        )

    def sessions(self, **question: Any) -> int:
        rows = self.service.rows("sessions", start="2025-01-01", end="2026-04-01", granularity="total", **question)
        return int(sum(row["value"] or 0 for row in rows))


@pytest.fixture
def importer(service: Service, tmp_path: Path) -> Importer:
    return Importer(service, tmp_path)


def row(id: Any, *, known: str = "", account: str = "acme", day: str = "2025-01-01", seconds: Any = 60) -> str:
    return f"{id},{account},{day}T10:00:00Z,{known},{seconds}\n"


# History with the days on which it became known


@pytest.fixture
def history(importer: Importer) -> Importer:
    """Return an importer with a file of history, one of whose 30 rows has a typing error."""
    days = [f"2025-01-{day:02}" for day in range(1, 31)]
    rows = [row(n, known=day, day=day, seconds="sixty" if n == 3 else 60) for n, day in enumerate(days)]
    importer.write("sessions.csv", HEADER + "".join(rows))
    return importer


def test_nothing_of_a_history_is_sent_while_some_of_it_would_be_lost(history: Importer) -> None:
    result = history.run(SESSIONS, "sessions.csv")
    assert result.obstacle.startswith(
        "Nothing was sent, because 1 row has problems. The counts say what would come in with --skip-invalid. "
        "What is left out could not be recorded on its day later"
    )
    assert "--record-late-today" not in result.obstacle
    assert result.summary == ImportSummary(rows=30, problems=1, accepted=29)
    assert history.events() == 0
    text = (history.folder / "sessions.csv").read_text().replace("sixty", "60")
    history.write("sessions.csv", text)
    assert history.counts(SESSIONS, "sessions.csv") == (0, 30, 0, 0)
    assert history.sessions(as_of="2025-01-04") == 4


def test_an_event_that_would_be_rejected_stops_a_history_too(history: Importer) -> None:
    text = (history.folder / "sessions.csv").read_text().replace("sixty", "-60")
    history.write("sessions.csv", text)
    result = history.run(SESSIONS, "sessions.csv")
    assert result.obstacle.startswith("Nothing was sent, because 1 event is rejected.")
    assert result.summary == ImportSummary(rows=30, accepted=29, rejected=1)
    assert [line["event_id"] for line in history.report] == ["3"]
    assert history.report[0]["detail"].startswith("column seconds (-60): ")
    assert history.events() == 0


def test_what_was_left_out_of_a_history_can_be_repaired(history: Importer) -> None:
    assert history.counts(SESSIONS, "sessions.csv", skip_invalid=True) == (1, 29, 0, 0)
    text = (history.folder / "sessions.csv").read_text().replace("sixty", "60")
    history.write("sessions.csv", text)
    result = history.run(SESSIONS, "sessions.csv")
    assert result.obstacle.startswith(
        "Nothing was sent, because 1 event is rejected. The counts say what would come in with --skip-invalid. "
        "1 event has a recorded_on before the last day that is recorded for the account. --record-late-today"
    )
    assert history.report[0]["code"] == "recorded_before_last"
    assert history.counts(SESSIONS, "sessions.csv", record_late_today=True) == (0, 1, 29, 0)
    assert (history.sessions(), history.sessions(as_of="2026-03-14"), history.sessions(as_of="2026-03-15")) == (
        30,
        29,
        30,
    )
    assert history.counts(SESSIONS, "sessions.csv", record_late_today=True) == (0, 0, 30, 0)
    assert history.service.differences() == []


def test_the_mapping_with_a_typing_error_costs_nothing(history: Importer) -> None:
    """The case of the user whose 4,222 rows could not be sent again: a misspelt type of one of two events of a row."""
    text = (history.folder / "sessions.csv").read_text().replace("sixty", "60")
    history.write("sessions.csv", text)
    with pytest.raises(Invalid, match=r"Did you mean session\.ended"):
        history.run(SESSIONS.replace("session.ended", "session.endet"), "sessions.csv")
    assert history.counts(SESSIONS, "sessions.csv") == (0, 30, 0, 0)


def test_a_duplicate_whose_recorded_on_differs_is_reported(importer: Importer) -> None:
    importer.write("sessions.csv", HEADER + row(1, known="2025-02-01") + row(2, known="2025-02-01"))
    assert importer.counts(SESSIONS, "sessions.csv") == (0, 2, 0, 0)
    importer.write(
        "sessions.csv", HEADER + row(1, known="2025-02-03") + row(2, known="2025-02-01") + row(2, known="2025-02-02")
    )
    for dry_run in (True, False):
        assert importer.counts(SESSIONS, "sessions.csv", dry_run=dry_run) == (0, 0, 3, 0)
        assert [(line["line"], line["code"]) for line in importer.report] == [
            ("4", "recorded_on_differs"),
            ("2", "recorded_on_differs"),
        ]
    assert "stored with recorded_on 2025-02-01, not 2025-02-03" in importer.report[1]["detail"]


def test_a_duplicate_that_was_retracted_is_reported(importer: Importer) -> None:
    importer.write("sessions.csv", HEADER + row(1) + row(2))
    importer.run(LIVE, "sessions.csv")
    importer.service.retract("acme", "1")
    assert importer.counts(LIVE, "sessions.csv") == (0, 0, 2, 0)
    [line] = importer.report
    assert (line["event_id"], line["code"]) == ("1", "retracted") and "2026-03-15" in line["detail"]


# Dry runs


def test_a_dry_run_sends_nothing(importer: Importer) -> None:
    importer.write("sessions.csv", HEADER + row(1) + row(2, seconds=-1) + row(3, seconds="x"))
    assert importer.counts(LIVE, "sessions.csv", dry_run=True) == (1, 1, 0, 1)
    assert [line["code"] for line in importer.report] == ["bad_value", "greater_than_equal"]
    assert importer.events() == 0
    assert importer.counts(LIVE, "sessions.csv") == (1, 1, 0, 1)


def random_rows(source: random.Random, count: int) -> str:
    """Return rows of few accounts and ids, late ones, ones of the future, invalid ones and conflicts among them."""
    days = ["2025-01-01", "2025-02-01", "2026-03-10", "2026-03-15", "2026-03-16", "2026-03-20", "1969-01-01", ""]
    return "".join(
        row(
            source.randrange(12),
            account=source.choice(["acme", "globex", "initech", ""]),
            known=source.choice(days),
            day=source.choice(days[:6]),
            seconds=source.choice([60, 60, 60, 90, -1, "x", ""]),
        )
        for _ in range(count)
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_dry_run_counts_and_reports_what_the_run_does(importer: Importer, seed: int) -> None:
    source = random.Random(seed)
    importer.service.send(session(id="1", at="2025-01-01T10:00:00Z", seconds=60), session("globex", id="2"))
    importer.service.retract("globex", "2")
    for mapping in (SESSIONS, LIVE, SESSIONS):
        importer.write("sessions.csv", HEADER + random_rows(source, 30))
        importer.write("sessions2.csv", HEADER + random_rows(source, 10))
        for options in (
            {"record_late_today": True},
            {},
            {"skip_invalid": True, "record_late_today": True},
            {"skip_invalid": True},
        ):
            dry = importer.run(mapping, "sessions.csv", "sessions2.csv", dry_run=True, **options)
            dry_report = importer.report
            run = importer.run(mapping, "sessions.csv", "sessions2.csv", **options)
            assert dry.summary == run.summary and dry_report == importer.report
            assert dry.obstacle == run.obstacle.replace("was sent", "would be sent")
            if not run.obstacle:
                break
    assert importer.service.differences() == []


# Rejections in the terms of the file


def test_a_rejection_names_the_columns_of_the_field(importer: Importer) -> None:
    importer.write(
        "answers.ndjson",
        '{"id": 1, "who": "acme", "score": "9", "on": "2026-03-10T10:00:00Z"}\n'
        '{"id": 2, "who": "acme", "score": 11, "on": "2026-03-10T10:00:00Z"}\n'
        '{"id": 3, "who": "acme", "on": "2026-03-10T10:00:00Z"}\n'
        '{"id": 4, "score": 9, "on": "2026-03-10T10:00:00Z"}\n'
        '{"id": 5, "who": "acme", "score": 9, "on": "2026-05-10T10:00:00Z", "tags": "a"}\n',
    )
    mapping = """
    [[source]]
    file = "*"
    [[source.event]]
    type = "survey.responded"
    id = "answer-{id}"
    account_id = "{who}"
    occurred_at = "{on}"
    data = { survey = "nps", score = "{score}", tags = "{tags}" }
    """
    assert importer.counts(mapping, "answers.ndjson") == (0, 0, 0, 5)
    details = {line["line"]: line["detail"] for line in importer.report}
    assert details["1"].startswith("column score ('9'): ")
    assert details["1"].endswith('Give the column type = "integer" under [source.columns].')
    assert details["2"].startswith("column score (11): The score must be from 0 to 10")
    assert details["3"].startswith("column score (empty): ")
    assert details["4"].startswith("column who (empty): ")
    assert any(detail.startswith(("column on (", "column tags (")) for detail in [details["5"]])


# Names that only the books know


def test_surveys_and_currencies_of_the_mapping_are_checked_before_the_first_row(importer: Importer) -> None:
    mapping = """
    [[source]]
    file = "*.csv"
    columns = { score = "integer", kind = { values = { a = "nps", b = "csta" } } }
    [[source.event]]
    type = "survey.responded"
    id = "{id}"
    account_id = "acme"
    occurred_at = "2026-03-10"
    data = { survey = "{kind}", score = "{score}" }
    [[source.event]]
    type = "purchase.completed"
    id = "{id}"
    account_id = "acme"
    occurred_at = "2026-03-10"
    data = { order_id = "1", amount = "1", currency = "EUR" }
    """
    importer.write("mapping.toml", mapping)
    rules = load_mapping(importer.folder / "mapping.toml")
    with pytest.raises(Invalid) as error:
        importer.service.run(check_names(importer.service.books, rules))
    assert error.value.detail.splitlines() == [
        'There is no survey "csta". Did you mean csat? Declare it with PUT /v1/surveys/{id}.',
        "There is no exchange rate of EUR. Add some with PUT /v1/exchange-rates: the base currency is USD.",
    ]
    importer.service.put("/v1/surveys/csta", {"kind": "csat", "scale": {"min": 1, "max": 5}})
    importer.service.put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-01-01": "1.1"}})
    importer.service.run(check_names(importer.service.books, rules))


# Progress


def test_progress_counts_what_was_sent(importer: Importer) -> None:
    importer.write("sessions.csv", HEADER + "".join(row(n) for n in range(4500)))
    size = (importer.folder / "sessions.csv").stat().st_size
    importer.run(LIVE, "sessions.csv")
    assert [step.phase for step in importer.steps] == ["Import"] * 3
    assert [step.total for step in importer.steps] == [size] * 3
    shares = [step.done / size for step in importer.steps]
    assert shares == pytest.approx([2000 / 4500, 4000 / 4500, 1], abs=0.01)


def test_progress_of_a_history_has_phases_of_events(importer: Importer) -> None:
    importer.write("sessions.csv", HEADER + "".join(row(n, known="2025-01-02") for n in range(4500)))
    importer.run(SESSIONS, "sessions.csv")
    steps = [(step.phase, step.done, step.total) for step in importer.steps if step.phase != "Read"]
    counts = [2000, 4000, 4500]
    assert steps == [("Check", count, 4500) for count in counts] + [("Send", count, 4500) for count in counts]
    assert all(step.total == (importer.folder / "sessions.csv").stat().st_size for step in importer.steps[:2])


# Contracts with an inclusive end


def test_contracts_with_an_inclusive_end_renew_without_churn(importer: Importer) -> None:
    importer.write(
        "contracts.csv",
        "contract,customer,start_date,end_date,monthly\n"
        "k1,TERM-A,2025-01-01,2025-12-31,100\nk2,TERM-A,2026-01-01,2026-12-31,110\n",
    )
    mapping = """
    [[source]]
    file="contracts*.csv"
    [source.columns]
    start_date="date"
    end_date="datetime"
    monthly="money"
    [[source.event]]
    type="subscription.changed"
    id="start-{contract}"
    account_id="{customer}"
    occurred_at="{start_date}"
    data={subscription_id="{contract}",mrr="{monthly}"}
    [[source.event]]
    type="subscription.canceled"
    id="end-{contract}"
    account_id="{customer}"
    occurred_at="{start_date}"
    data={subscription_id="{contract}",ends_at="{end_date} + 1 day"}
    """
    assert importer.counts(mapping, "contracts.csv") == (0, 4, 0, 0)
    rows = importer.service.get(
        "/v1/query",
        metrics="mrr,customers_churned,customer_churn_rate,nrr",
        start="2025-12-01",
        end="2026-02-01",
        account="TERM-A",
    )["rows"]
    values = {(row["metric"], row["period"]): row["value"] for row in rows}
    assert (values["mrr", "2025-12"], values["mrr", "2026-01"]) == (100, 110)
    assert values["customers_churned", "2025-12"] == values["customers_churned", "2026-01"] == 0
    assert values["customer_churn_rate", "2026-01"] == 0 and values["nrr", "2026-01"] == 110


def test_blank_comments_of_a_file_are_no_comments(importer: Importer) -> None:
    importer.write("answers.csv", 'id,score,comment\n1,9,"Fast help."\n2,3," "\n3,4,"\r\n"\n4,5,\n')
    mapping = """
    [[source]]
    file = "*.csv"
    columns.score = "integer"
    [[source.event]]
    type = "survey.responded"
    id = "{id}"
    account_id = "acme"
    occurred_at = "2026-03-10"
    data = { survey = "nps", score = "{score}", comment = "{comment}" }
    """
    assert importer.counts(mapping, "answers.csv") == (0, 4, 0, 0)
    assert importer.service.value("feedback_comments") == 1


def test_an_event_of_a_live_service_between_two_runs_does_not_cost_the_rest(history: Importer) -> None:
    text = (history.folder / "sessions.csv").read_text().replace("sixty", "60")
    history.write("sessions.csv", text)
    history.service.send(event("session.ended", user="ada", duration_seconds=5))
    result = history.run(SESSIONS, "sessions.csv")
    assert result.summary == ImportSummary(rows=30, rejected=30)
    assert "because 30 events are rejected" in result.obstacle
    assert "30 events have a recorded_on before the last day" in result.obstacle
    assert history.counts(SESSIONS, "sessions.csv", record_late_today=True) == (0, 30, 0, 0)
