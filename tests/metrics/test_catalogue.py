"""All entries of the catalogues: they are documented, and their examples are right."""

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Annotated, Any

import pytest
from pydantic import Field

from app.accounts.accounts import account_key
from app.database.connection import Connection
from app.database.labels import lookup_labels
from app.database.query_plan import run_plan
from app.ingest.define import EVENT_TYPES, Data, event
from app.ingest.schemas import example_event
from app.ledger.measures import MEASURES, POSTING_RULES, PRESENCES, Line, measure
from app.ledger.sums.operand_sums import SumsRequest, operand_label_texts, sum_operands
from app.ledger.sums.selection import Selection, Span
from app.metrics.define import DEFAULT, METRICS, ContextValue, ExampleEvent, Metric, Result, count, metric
from app.metrics.results import ledger_units
from tests.support.service import Service

# Every convention of every metric, by the name of the metric and, unless it is the default, of the convention.
ENTRIES = {
    entry.name if convention is entry else f"{entry.name} {convention.convention}": convention
    for entry in METRICS.values()
    for convention in entry.conventions.values()
}
EFFORT = {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"}


def example_operands(entry: Metric) -> dict[str, float]:
    """Return the inputs of an entry's example in the units of the ledger."""
    return {name: ledger_units(entry.example[name]) for name in entry.inputs}


def example_events(entry: Metric) -> list[dict[str, Any]]:
    """Return the events of an entry's example as a client sends them; the accounts are named after the entry."""
    return [
        {
            "id": f"{position}-{number}",
            "type": example.type,
            "account_id": f"{entry.name} {entry.convention} {example.account}",
            "user_id": example.user,
            "occurred_at": f"{example.on}T12:00:00Z",
            "data": dict(example.data),
        }
        for position, example in enumerate(entry.events)
        for number in range(example.times)
    ]


@pytest.mark.parametrize("name", ENTRIES)
def test_the_formula_computes_the_result_of_its_example(name: str) -> None:
    entry = ENTRIES[name]
    result = entry.formula(*example_operands(entry).values())
    assert result.value == pytest.approx(entry.example["equals"])
    low, high = entry.range
    assert (low is None or result.value >= low) and (high is None or result.value <= high)


@pytest.fixture(scope="module")
def with_example_events(shared: Service) -> Service:
    """A service that has the events of all examples."""
    shared.put("/v1/surveys/effort", EFFORT)
    for entry in ENTRIES.values():
        shared.send(*example_events(entry))
    return shared


@pytest.mark.parametrize("name", ENTRIES)
def test_the_events_of_an_example_lead_to_its_operands(with_example_events: Service, name: str) -> None:
    entry, books = ENTRIES[name], with_example_events.books
    accounts = {event["account_id"] for event in example_events(entry)}

    async def sum_up(connection: Connection) -> Any:
        request = SumsRequest(
            selection=Selection(accounts=tuple(map(account_key, accounts))),
            spans=[Span(date(2026, 3, 1), date(2026, 3, 16), date(2026, 3, 1))],
            labels=await run_plan(connection, lookup_labels(books.database, operand_label_texts(entry.operands))),
            calendar=books.calendar,
            tomorrow=date(2026, 3, 16),
        )
        return await run_plan(connection, sum_operands(entry.operands, request))

    sums_by_operand = with_example_events.run(books.database.read(sum_up))
    sums = {name: sums_by_operand.get(operand, {}).get((), {}).get(0, 0) for name, operand in entry.inputs.items()}
    context = {name for name, operand in entry.inputs.items() if isinstance(operand, ContextValue)}
    operands = example_operands(entry)
    assert sums == {name: 0 if name in context else operands[name] for name in entry.inputs}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_metric_answers_its_example_over_http(with_example_events: Service, name: str) -> None:
    entry = ENTRIES[name]
    accounts = sorted({event["account_id"] for event in example_events(entry)})
    row = with_example_events.row(entry.name, account=accounts, convention=entry.convention)
    assert row["convention"] == entry.convention
    # 15 days of the running month have passed; a month has 30.4375.
    context = {"months": Fraction(15 * 16, 487), "days": 15, "margin": 1, "divided": True}
    operands = example_operands(entry)
    operands |= {name: value for name, value in context.items() if name in operands}
    assert row["value"] == pytest.approx(float(entry.formula(*operands.values()).value), abs=1e-6)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_metric_without_any_event_is_zero_or_says_why_it_is_null(name: str) -> None:
    entry = ENTRIES[name]
    result = entry.formula(*(0 for _ in entry.inputs))
    assert result.value == 0 if result.value is not None else result.reason


@pytest.mark.parametrize("name", ENTRIES)
def test_a_metric_is_documented_and_made_of_declared_measures(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.title and entry.description.endswith((".", ";")) and len(entry.description) > 20
    assert entry.better in ("up", "down", "neither")
    units = ("points", "percent", "ratio", "score", "count", "minutes", "hours", "days", "months", "money")
    assert entry.unit in units
    assert set(entry.adds_over) <= {"groups", "time"}
    assert all(value.description.endswith(".") for value in entry.inputs.values())
    has_choice = len(METRICS[entry.name].conventions) > 1
    assert entry.counted_by.endswith((".", "?")) == (entry.convention != DEFAULT) == has_choice


# Measures that no metric uses, but another report.
MEASURES_OF_REPORTS = {
    "onboarding_step_positions",
    "onboarding_step_seconds",
    "onboardings_reaching",
    "survey_scores",
}


def test_every_measure_has_a_description_and_is_used() -> None:
    # Health may use any measure.
    entries = [entry for entry in ENTRIES.values() if entry.name not in ("health_score", "accounts_by_band")]
    used = set().union(*(operand_label_texts(entry.operands) for entry in entries))
    for entry in MEASURES.values():
        assert entry.description.endswith(".")
    assert (MEASURES.keys() | PRESENCES.keys()) - used == MEASURES_OF_REPORTS


def test_every_event_type_accepts_its_example_and_counts_it_once(service: Service) -> None:
    examples = [example_event(name) for name in EVENT_TYPES]
    assert service.send(*examples) == {"accepted": len(examples), "duplicates": 0, "rejected": []}
    assert service.send(*examples) == {"accepted": 0, "duplicates": len(examples), "rejected": []}
    assert service.differences() == []


def test_the_catalogue_lists_every_metric(service: Service) -> None:
    catalogue = service.get("/v1/metrics")["metrics"]
    assert [entry["name"] for entry in catalogue] == sorted(METRICS)
    for entry in catalogue:
        assert {
            "title",
            "description",
            "unit",
            "better",
            "adds_over",
            "dimensions",
            "version",
            "example",
        } <= entry.keys()


@pytest.fixture
def coffees() -> Iterator[None]:
    """Declare an event type and a metric: a block each is all that something new to count needs."""
    coffees = measure("coffees", "Cups that were drunk.", subject="blend")

    @event(
        "coffee.drunk",
        example={"blend": "house", "cups": 2},
        posts=lambda e: [Line(coffees, e.data["cups"], e.data["blend"])],
    )
    class CoffeeDrunk(Data):
        """A coffee was drunk."""

        blend: str
        cups: Annotated[int, Field(ge=1)]

    @metric(
        unit="count",
        better="up",
        adds_over=("groups", "time"),
        example={"coffees": 2, "equals": 2},
        events=[ExampleEvent(1, "coffee.drunk", {"blend": "house", "cups": 2})],
    )
    def cups_of_coffee(coffees: int) -> Result:
        """Cups of coffee: number of cups that were drunk."""
        return count(coffees)

    yield
    del EVENT_TYPES["coffee.drunk"], POSTING_RULES["coffee.drunk"], MEASURES["coffees"], METRICS["cups_of_coffee"]


def test_a_new_event_type_and_its_metric_are_two_blocks(coffees: None, service: Service) -> None:
    service.send(*example_events(METRICS["cups_of_coffee"]))
    (row,) = service.rows("cups_of_coffee", period="2026-03", group_by="subject")
    assert (row["group"], row["value"]) == ({"subject": "house"}, 2)
    assert "cups_of_coffee" in [entry["name"] for entry in service.get("/v1/metrics")["metrics"]]
    assert service.differences() == []
