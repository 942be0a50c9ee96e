"""Tests over all entries of the catalogues: documented, and right by their own examples."""

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

# Every way to count every metric, by the metric's name and, if it is not the default, its own.
ENTRIES = {
    entry.name if way is entry else f"{entry.name} {way.convention}": way
    for entry in METRICS.values()
    for way in entry.conventions.values()
}
EFFORT = {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"}


def example_operands(entry: Metric) -> dict[str, float]:
    """The operands of an entry's example, as the ledger has them."""
    return {name: ledger_units(entry.example[name]) for name in entry.inputs}


def example_events(entry: Metric) -> list[dict[str, Any]]:
    """The events of an entry's example, as a client would send them; the accounts are named after it."""
    return [
        {
            "id": f"{place}-{number}",
            "type": happens.type,
            "account_id": f"{entry.name} {entry.convention} {happens.account}",
            "user_id": happens.user,
            "occurred_at": f"{happens.on}T12:00:00Z",
            "data": dict(happens.data),
        }
        for place, happens in enumerate(entry.events)
        for number in range(happens.times)
    ]


@pytest.mark.parametrize("name", ENTRIES)
def test_the_formula_makes_of_its_example_what_it_says(name: str) -> None:
    entry = ENTRIES[name]
    result = entry.formula(*example_operands(entry).values())
    assert result.value == pytest.approx(entry.example["equals"])
    low, high = entry.range
    assert (low is None or result.value >= low) and (high is None or result.value <= high)


@pytest.fixture(scope="module")
def exemplary(shared: Service) -> Service:
    """A service to which the examples of all metrics were sent."""
    shared.put("/v1/surveys/effort", EFFORT)
    for entry in ENTRIES.values():
        shared.send(*example_events(entry))
    return shared


@pytest.mark.parametrize("name", ENTRIES)
def test_the_events_of_an_example_make_the_operands_that_it_gives(exemplary: Service, name: str) -> None:
    entry, books = ENTRIES[name], exemplary.books
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

    found = exemplary.run(books.database.read(sum_up))
    sums = {name: found.get(operand, {}).get((), {}).get(0, 0) for name, operand in entry.inputs.items()}
    given = {name for name, operand in entry.inputs.items() if isinstance(operand, ContextValue)}
    operands = example_operands(entry)
    assert sums == {name: 0 if name in given else operands[name] for name in entry.inputs}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_metric_answers_its_example_over_http(exemplary: Service, name: str) -> None:
    entry = ENTRIES[name]
    accounts = sorted({event["account_id"] for event in example_events(entry)})
    row = exemplary.row(entry.name, account=accounts, convention=entry.convention)
    assert row["convention"] == entry.convention
    # The running month has had 15 days, of which a month has 30.4375.
    given = {"months": Fraction(15 * 16, 487), "days": 15, "margin": 1, "divided": True}
    operands = example_operands(entry)
    operands |= {name: value for name, value in given.items() if name in operands}
    assert row["value"] == pytest.approx(float(entry.formula(*operands.values()).value), abs=1e-6)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_metric_without_any_event_is_zero_or_says_why_it_is_null(name: str) -> None:
    entry = ENTRIES[name]
    result = entry.formula(*(0 for _ in entry.inputs))
    assert result.value == 0 if result.value is not None else result.reason


@pytest.mark.parametrize("name", ENTRIES)
def test_a_metric_is_documented_and_made_of_known_measures(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.title and entry.description.endswith((".", ";")) and len(entry.description) > 20
    assert entry.better in ("up", "down", "neither")
    units = ("points", "percent", "ratio", "score", "count", "minutes", "hours", "days", "months", "money")
    assert entry.unit in units
    assert set(entry.adds_over) <= {"groups", "time"}
    assert all(value.description.endswith(".") for value in entry.inputs.values())
    has_choice = len(METRICS[entry.name].conventions) > 1
    assert entry.counted_by.endswith((".", "?")) == (entry.convention != DEFAULT) == has_choice


# What is asked for in answers of their own.
REPORTED = {
    "onboarding_step_positions",
    "onboarding_step_seconds",
    "onboardings_reaching",
    "survey_scores",
}


def test_every_measure_says_what_it_counts_and_is_used() -> None:
    used = set().union(*(operand_label_texts(entry.operands) for entry in ENTRIES.values()))
    for entry in MEASURES.values():
        assert entry.description.endswith(".")
    assert (MEASURES.keys() | PRESENCES.keys()) - used == REPORTED


def test_every_event_type_accepts_its_example_and_counts_it_once(service: Service) -> None:
    examples = [example_event(name) for name in EVENT_TYPES]
    assert service.send(*examples) == {"accepted": len(examples), "duplicates": 0, "rejected": []}
    assert service.send(*examples) == {"accepted": 0, "duplicates": len(examples), "rejected": []}
    assert service.differences() == []


def test_the_catalogue_answers_with_every_metric(service: Service) -> None:
    listed = service.get("/v1/metrics")["metrics"]
    assert [entry["name"] for entry in listed] == sorted(METRICS)
    for entry in listed:
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
    """One block in the vocabulary and one in the catalogue of metrics: all that a new countable thing needs."""
    coffees = measure("coffees", "Cups that were drunk.", subject="blend")

    @event(
        "coffee.drunk",
        example={"blend": "house", "cups": 2},
        posts=lambda e: [Line(coffees, e.data["cups"], e.data["blend"])],
    )
    class CoffeeDrunk(Data):
        """Somebody had a coffee."""

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
        """Cups of coffee: how many cups were drunk."""
        return count(coffees)

    yield
    del EVENT_TYPES["coffee.drunk"], POSTING_RULES["coffee.drunk"], MEASURES["coffees"], METRICS["cups_of_coffee"]


def test_a_new_event_type_and_its_metric_are_two_blocks(coffees: None, service: Service) -> None:
    service.send(*example_events(METRICS["cups_of_coffee"]))
    (row,) = service.rows("cups_of_coffee", period="2026-03", group_by="subject")
    assert (row["group"], row["value"]) == ({"subject": "house"}, 2)
    assert "cups_of_coffee" in [entry["name"] for entry in service.get("/v1/metrics")["metrics"]]
    assert service.differences() == []
