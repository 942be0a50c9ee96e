"""The contract of the metrics, docs/metrics.md, against the catalogue that the service answers with."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import Service

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
TO_COME = {"health_score"}
DEFINITION = {
    "name",
    "title",
    "description",
    "unit",
    "range",
    "better",
    "operands",
    "adds_over",
    "conventions",
    "version",
}
NAME = re.compile(r"`([a-z_0-9]+)`")
FORMULAS, CONVENTIONS = "| metric | formula | notes |", "| metric | default | other conventions |"


def rows_of(head: str) -> Iterator[list[str]]:
    """The cells of all rows of the page's tables with this head."""
    for block in PAGE.split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0] == head:
            yield from ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])


def names(cell: str) -> list[str]:
    return NAME.findall(cell)


@pytest.fixture
def listed(service: Service) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in service.get("/v1/metrics")["metrics"]}


def test_the_page_has_the_metrics_of_the_catalogue_each_once_and_no_other(listed: dict[str, Any]) -> None:
    rows = list(rows_of(FORMULAS))
    assert sorted(name for row in rows for name in names(row[0])) == sorted(listed)
    assert [row for row in rows if len(row) != 3 or not row[1]] == []
    assert set(names(PAGE)) >= TO_COME and not TO_COME & listed.keys()


def test_every_metric_of_the_catalogue_is_defined_completely(listed: dict[str, Any]) -> None:
    for name, entry in listed.items():
        assert entry.keys() >= DEFINITION | {"example"}, name
        assert len(entry["description"]) > 20 and entry["operands"] and len(entry["range"]) == 2, name
        assert entry["version"] >= 1 and "equals" in entry["example"] and entry["conventions"], name


def test_the_page_names_the_conventions_of_the_catalogue_in_their_order(listed: dict[str, Any]) -> None:
    found: dict[str, list[str]] = {}
    for metrics, default, others in rows_of(CONVENTIONS):
        found |= dict.fromkeys(names(metrics), names(default) + names(others))
    ways = {name: [way["name"] for way in entry["conventions"]] for name, entry in listed.items()}
    assert found == {name: known for name, known in ways.items() if known != ["default"]}
