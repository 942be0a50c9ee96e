"""A file of contract terms whose end dates are the last paid days, as CRM systems export them."""

from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Invalid
from app.ingest.files.run_import import ImportSummary
from tests.support.imports import ONE_COLUMN, ImportFolder, import_files, problem_of, table
from tests.support.service import Service

CONTRACTS = """contract,customer,start_date,end_date,monthly
k1,TERM-A,2025-01-01,2025-12-31,100
k2,TERM-A,2026-01-01,2026-12-31,110
"""
MAPPING = """
[[source]]
file = "contracts*.csv"
[source.columns]
start_date = "date"
end_date = "{type}"
monthly = "money"
[[source.event]]
type = "subscription.changed"
id = "start-{{contract}}"
account_id = "{{customer}}"
occurred_at = "{{start_date}}"
data = {{ subscription_id = "{{contract}}", mrr = "{{monthly}}" }}
[[source.event]]
type = "subscription.canceled"
id = "end-{{contract}}"
account_id = "{{customer}}"
occurred_at = "{{start_date}}"
data = {{ subscription_id = "{{contract}}", {field} = "{{end_date}}{shift}" }}
"""


def import_contracts(
    service: Service,
    folder: Path,
    *,
    type: str,
    field: str,
    shift: str = "",
    contracts: str = CONTRACTS,
    mapping: str = MAPPING,
) -> ImportSummary:
    (folder / "contracts.csv").write_text(contracts)
    text = mapping.format(type=type, field=field, shift=shift)
    return import_files(service, folder, "contracts.csv", mapping=text).summary


def values(service: Service, metric: str) -> list[Any]:
    months = {"start": "2025-12-01", "end": "2026-02-01", "account": "TERM-A"}
    return [row["value"] for row in service.rows(metric, **months)]


@pytest.mark.parametrize("type", ["date", "text"])
def test_a_renewal_on_the_day_after_the_last_paid_day_is_no_churn(service: Service, tmp_path: Path, type: str) -> None:
    summary = import_contracts(service, tmp_path, type=type, field="paid_through")
    assert (summary.accepted, summary.rejected) == (4, 0)
    assert values(service, "mrr") == [100, 110]
    assert values(service, "customers_churned") == values(service, "customer_churn_rate") == [0, 0]
    assert values(service, "nrr") == [100, pytest.approx(110)]
    assert service.differences() == []


def test_a_day_as_an_end_is_a_problem_that_says_what_to_write(service: Service, tmp_path: Path) -> None:
    summary = import_contracts(service, tmp_path, type="datetime", field="ends_at")
    assert (summary.accepted, summary.problems) == (0, 2)
    report = (tmp_path / "report.csv").read_text()
    assert "'2025-12-31' is a day without a time" in report
    assert "paid_through" in report and "+ 0 days" in report


@pytest.mark.parametrize(("shift", "mrr", "churned"), [("0 days", [0, 110], [1, 0]), ("1 day", [100, 110], [0, 0])])
def test_days_as_ends_are_taken_with_the_days_that_are_to_be_added(
    service: Service, tmp_path: Path, shift: str, mrr: list[int], churned: list[int]
) -> None:
    import_contracts(service, tmp_path, type="datetime", field="ends_at", shift=f" + {shift}")
    assert (values(service, "mrr"), values(service, "customers_churned")) == (mrr, churned)


ENDS: dict[str, tuple[str, Any, bool]] = {
    "an ISO day": ('"datetime"', "2025-12-31", True),
    "an ISO day without hyphens": ('"datetime"', "20251231", True),
    "an ISO time": ('"datetime"', "2025-12-31T00:00:00Z", False),
    "a local time": ('"datetime"', "2025-12-31 00:00", False),
    "a day of a format": ('{ type = "datetime", format = "%d.%m.%Y" }', "31.12.2025", True),
    "a time of a format": ('{ type = "datetime", format = "%d.%m.%Y %H:%M" }', "31.12.2025 00:00", False),
    "the second of two formats": (
        '{ type = "datetime", format = ["%d.%m.%Y %I %p", "%d.%m.%Y"] }',
        "31.12.2025",
        True,
    ),
    "a day of Excel": ('{ type = "datetime", format = "excel" }', "46022", True),
    "a time of Excel": ('{ type = "datetime", format = "excel" }', "46022.5", False),
    "seconds since 1970": ('{ type = "datetime", format = "unix" }', "1767139200", False),
    "a default": ('{ type = "datetime", default = "2025-12-31" }', "", True),
    "an empty cell": ('"datetime"', "", False),
}


@pytest.mark.parametrize(("column", "cell", "is_problem"), ENDS.values(), ids=ENDS)
def test_an_end_needs_a_time_of_day(tmp_path: Path, column: str, cell: str, is_problem: bool) -> None:
    mapping = ONE_COLUMN.format(column=column).replace("data = { c =", "data = { ends_at =")
    row = ImportFolder(tmp_path).read_one(mapping, table(["c", "d"], [cell, "x"]))
    assert ("is a day without a time" in problem_of(row)) is is_problem


@pytest.mark.parametrize(
    ("type", "field", "advice"), [("datetime", "paid_through", 'type = "date"'), ("date", "ends_at", '"paid_through"')]
)
def test_a_mapping_that_confuses_the_two_is_an_error_with_the_way_out(
    service: Service, tmp_path: Path, type: str, field: str, advice: str
) -> None:
    with pytest.raises(Invalid) as error:
        import_contracts(service, tmp_path, type=type, field=field)
    assert advice in str(error.value.errors or error.value.detail)


def test_a_date_that_stands_for_no_end_is_reported_with_the_option_for_it(service: Service, tmp_path: Path) -> None:
    endless = CONTRACTS.replace("2026-12-31", "9999-12-31")
    summary = import_contracts(service, tmp_path, type="date", field="paid_through", contracts=endless)
    assert (summary.accepted, summary.rejected) == (3, 1)
    assert 'If it stands for no end, set empty = [""9999-12-31""]' in (tmp_path / "report.csv").read_text()
    mapping = MAPPING.replace('end_date = "{type}"', 'end_date = {{ type = "{type}", empty = ["9999-12-31"] }}')
    mapping = mapping.replace(
        'type = "subscription.canceled"', 'type = "subscription.canceled"\nwhen = "end_date is not null"'
    )
    summary = import_contracts(service, tmp_path, type="date", field="paid_through", contracts=endless, mapping=mapping)
    assert (summary.duplicates, summary.rejected) == (3, 0)
    assert values(service, "mrr") == [100, 110]
