"""Tests over all entries of the catalogues: documented, and right by their own examples."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import Field

from app.ingest.define import EVENT_TYPES, Data, event
from app.ingest.schemas import example_of
from app.ledger.measures import MEASURES, RULES, Fact, Line, lines_of, measure
from app.ledger.surveys import Survey
from app.metrics.define import METRICS, Metric, Result, count, metric
from tests.service import Service

EFFORT = {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"}
SURVEYS = {
    "nps": Survey("nps", "nps", 0, 10, None, None, None, True),
    "csat": Survey("csat", "csat", 1, 5, 4, None, None, True),
    "effort": Survey("effort", "ces", 1, 7, None, "high", None, True),
}


def example_events(entry: Metric, account: str) -> list[dict[str, Any]]:
    """The events of an entry's example, as a client would send them."""
    return [
        {
            "id": f"{entry.name}-{place}-{number}",
            "type": type,
            "account_id": account,
            "user_id": "ada",
            "occurred_at": "2026-03-10T12:00:00Z",
            "data": dict(data),
        }
        for place, (times, type, data) in enumerate(entry.events)
        for number in range(times)
    ]


@pytest.mark.parametrize("name", METRICS)
def test_the_formula_makes_of_its_example_what_it_says(name: str) -> None:
    entry = METRICS[name]
    result = entry.formula(*(entry.example[operand] for operand in entry.operands))
    assert result.value == pytest.approx(entry.example["equals"])
    low, high = entry.range
    assert (low is None or result.value >= low) and (high is None or result.value <= high)


@pytest.mark.parametrize("name", METRICS)
def test_the_events_of_an_example_post_the_sums_that_it_gives(name: str) -> None:
    entry = METRICS[name]
    sums = dict.fromkeys(entry.operands, 0)
    for times, type, data in entry.events:
        for line in lines_of(Fact(type, "ada", data, SURVEYS.get(data.get("survey", "")))):
            if line.measure.name in sums:
                sums[line.measure.name] += times * line.value
    assert sums == {operand: entry.example[operand] for operand in entry.operands}


def test_every_metric_answers_its_example_over_http(service: Service) -> None:
    service.put("/v1/surveys/effort", EFFORT)
    for entry in METRICS.values():
        service.send(*example_events(entry, account=entry.name))
        row = service.row(entry.name, account=entry.name)
        assert row["value"] == pytest.approx(entry.example["equals"], abs=1e-6), entry.name


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_without_any_event_is_zero_or_says_why_it_is_null(name: str) -> None:
    entry = METRICS[name]
    result = entry.formula(*(0 for _ in entry.operands))
    assert result.value == 0 if result.value is not None else result.reason


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_documented_and_made_of_known_measures(name: str) -> None:
    entry = METRICS[name]
    assert entry.title and entry.description.endswith((".", ";")) and len(entry.description) > 20
    assert entry.better in ("up", "down", "neither")
    assert entry.unit in ("points", "percent", "score", "count", "minutes", "money")
    assert set(entry.adds_over) <= {"groups", "time"}
    assert set(entry.operands) <= MEASURES.keys()


def test_every_measure_says_what_it_counts_and_is_used() -> None:
    used = {operand for entry in METRICS.values() for operand in entry.operands}
    for entry in MEASURES.values():
        assert entry.description.endswith(".")
    assert used == MEASURES.keys()


def test_every_event_type_accepts_its_example_and_counts_it_once(service: Service) -> None:
    examples = [example_of(name) for name in EVENT_TYPES]
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
        events=[(1, "coffee.drunk", {"blend": "house", "cups": 2})],
    )
    def cups_of_coffee(coffees: int) -> Result:
        """Cups of coffee: how many cups were drunk."""
        return count(coffees)

    yield
    del EVENT_TYPES["coffee.drunk"], RULES["coffee.drunk"], MEASURES["coffees"], METRICS["cups_of_coffee"]


def test_a_new_event_type_and_its_metric_are_two_blocks(coffees: None, service: Service) -> None:
    service.send(*example_events(METRICS["cups_of_coffee"], "acme"))
    (row,) = service.rows("cups_of_coffee", period="2026-03", group_by="subject")
    assert (row["group"], row["value"]) == ({"subject": "house"}, 2)
    assert "cups_of_coffee" in [entry["name"] for entry in service.get("/v1/metrics")["metrics"]]
    assert service.differences() == []
