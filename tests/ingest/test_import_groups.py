"""Rows of a group, such as the items of an order, make one record."""

from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from tests.support.imports import ImportFolder, table

ITEMS = """
[[source]]
file = "items*"
group_by = ["order"]
skip = [{ when = "quantity < 1", reason = "a return" }]
[source.columns]
quantity = { type = "integer", in_group = "sum" }
amount = { column = "price", type = "money", times = "quantity", decimals = 2, in_group = "sum" }
at = { type = "datetime", in_group = "min" }
last = { column = "at", type = "date", in_group = "max" }
lines = { column = "sku", in_group = "count" }
first = { column = "sku", in_group = "first" }
final = { column = "sku", in_group = "last" }
[[source.event]]
type = "purchase.completed"
id = "order-{order}"
account_id = "{customer}"
occurred_at = "{at}"
[source.event.data]
order_id = "{order}"
amount = "{amount}"
extra = { n = "{quantity}", lines = "{lines}", skus = ["{first}", "{final}"], last = "{last}" }
[[source.event]]
when = "amount >= 100 and lines > 1"
type = "note"
id = "large-{order}-{quantity}"
occurred_at = "{last} + 1 day"
"""
HEADER = ["order", "customer", "at", "sku", "price", "quantity"]


@pytest.fixture
def folder(tmp_path: Path) -> ImportFolder:
    return ImportFolder(tmp_path)


def read(folder: ImportFolder, *records: list[str], mapping: str = ITEMS) -> Any:
    return folder.read(mapping, folder.write("items.csv", table(HEADER, *records)))


def test_the_rows_of_a_group_make_its_events_once_wherever_they_stand(folder: ImportFolder) -> None:
    rows = read(
        folder,
        ["1", "acme", "2026-03-05T10:00", "a", "33.335", "2"],
        ["2", "globex", "2026-03-05T11:00", "a", "5", "1"],
        ["1", "acme", "2026-03-04T10:00", "b", "40", "1"],
        ["1", "acme", "2026-03-06T10:00", "b", "40", "-1"],
        ["1", "", "2026-03-04T10:00", "", "0.005", "1"],
    )
    assert [(row.line, row.count, row.reason, row.problems) for row in rows] == [
        (5, 1, "a return", ()),
        (2, 3, None, ()),
        (3, 1, None, ()),
    ]
    order, large = rows[1].events
    assert order == {
        "id": "order-1",
        "type": "purchase.completed",
        "account_id": "acme",
        "occurred_at": "2026-03-04T10:00:00Z",
        "data": {
            "order_id": "1",
            "amount": "106.68",
            "extra": {"n": 4, "lines": 2, "skus": ["a", "b"], "last": "2026-03-05"},
        },
    }
    assert (large["id"], large["occurred_at"]) == ("large-1-4", "2026-03-06T10:00:00Z")
    assert [event["id"] for event in rows[2].events] == ["order-2"]


def test_a_group_may_be_spread_over_files(folder: ImportFolder) -> None:
    paths = [folder.write(f"items{n}.csv", table(HEADER, ["1", "acme", "2026-03-05", "a", "5", "1"])) for n in range(3)]
    (row,) = folder.read(ITEMS, *paths)
    assert (row.file, row.count, row.events[0]["data"]["amount"]) == (str(paths[0]), 3, "15")


def test_different_values_in_a_group_are_a_problem_unless_one_of_them_is_chosen(folder: ImportFolder) -> None:
    records = [["1", name, "2026-03-05", "a", "5", "1"] for name in ("acme", "globex")]
    (row,) = read(folder, *records)
    assert row.problems == [
        "different_values: column customer: the rows of the group have 'acme' and 'globex'; "
        "say with in_group which value counts"
    ]
    chosen = ITEMS.replace("[source.columns]", '[source.columns]\ncustomer = { in_group = "last" }')
    (row,) = read(folder, *records, mapping=chosen)
    assert row.events[0]["account_id"] == "globex"


def test_a_group_with_a_row_that_has_a_problem_is_not_sent_with_too_small_a_sum(folder: ImportFolder) -> None:
    good, bad = ["1", "acme", "2026-03-05", "a", "5", "1"], ["1", "acme", "soon", "a", "5", "x"]
    rows = read(folder, good, bad, good, ["", "acme", "2026-03-05", "a", "5", "1"])
    assert [(row.line, row.count) for row in rows] == [(3, 1), (5, 1), (2, 2)]
    assert [problem.split(" ")[2] for problem in rows[0].problems] == ["quantity:", "at:", "last:"]
    assert rows[1].problems == ["missing_value: column order is empty, so that the row belongs to no group"]
    assert rows[2].problems == [
        f"incomplete_group: a row of the group has a problem: line 3 of {folder.path / 'items.csv'}"
    ]


def test_a_total_needs_a_type_that_has_one_and_a_source_with_groups(folder: ImportFolder) -> None:
    with pytest.raises(Invalid, match='in_group = "sum" is only for columns of type integer or number or money'):
        folder.load_mapping(ITEMS.replace('{ column = "sku", in_group = "first" }', '{ in_group = "sum" }'))
    with pytest.raises(Invalid, match=r"columns\.quantity: in_group is only for sources with group_by"):
        folder.load_mapping(ITEMS.replace('group_by = ["order"]', ""))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 99),
            st.decimals(0, 1000, places=3, allow_nan=False, allow_infinity=False),
        ),
        max_size=20,
    )
)
def test_sums_of_groups_are_exact(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, int, Decimal]]
) -> None:
    folder = ImportFolder(tmp_path_factory.mktemp("groups"))
    rows = read(folder, *([order, "x", "2026-01-01", "s", str(price), str(n)] for order, n, price in items))
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for order, n, price in items:
        if n:
            expected[order] += (price * n).quantize(Decimal("0.01"), ROUND_HALF_UP)
    amounts = {
        row.events[0]["data"]["order_id"]: Decimal(row.events[0]["data"]["amount"]) for row in rows if row.events
    }
    assert amounts == {order: total.quantize(Decimal("0.01"), ROUND_HALF_UP) for order, total in expected.items()}
    assert sum(row.count for row in rows) == len(items)
