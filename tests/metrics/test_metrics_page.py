"""The contract of the metrics, docs/metrics.md, agrees with the catalogue that the service answers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import Service

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
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
    """Yield the cells of each row of the tables that have this header."""
    for block in PAGE.split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0] == head:
            yield from ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])


def names(cell: str) -> list[str]:
    return NAME.findall(cell)


@pytest.fixture
def catalogue(service: Service) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in service.get("/v1/metrics")["metrics"]}


def test_the_page_lists_exactly_the_metrics_of_the_catalogue(catalogue: dict[str, Any]) -> None:
    rows = list(rows_of(FORMULAS))
    assert sorted(name for row in rows for name in names(row[0])) == sorted(catalogue)
    assert [row for row in rows if len(row) != 3 or not row[1]] == []


def test_every_metric_of_the_catalogue_is_defined_completely(catalogue: dict[str, Any]) -> None:
    for name, entry in catalogue.items():
        assert entry.keys() >= DEFINITION | {"example"}, name
        assert len(entry["description"]) > 20 and entry["operands"] and len(entry["range"]) == 2, name
        assert entry["version"] >= 1 and "equals" in entry["example"] and entry["conventions"], name


def test_the_page_names_the_conventions_of_the_catalogue_in_their_order(catalogue: dict[str, Any]) -> None:
    names_by_metric: dict[str, list[str]] = {}
    for metrics, default, others in rows_of(CONVENTIONS):
        names_by_metric |= dict.fromkeys(names(metrics), names(default) + names(others))
    conventions = {
        name: [convention["name"] for convention in entry["conventions"]] for name, entry in catalogue.items()
    }
    assert names_by_metric == {name: listed for name, listed in conventions.items() if listed != ["default"]}
