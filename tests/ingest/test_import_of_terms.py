"""A file of contract terms whose end dates are the last paid days, as CRM systems export them."""

from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Invalid
from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping_file import load_mapping
from app.ingest.files.run_import import ImportSummary, run_import
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
data = {{ subscription_id = "{{contract}}", {field} = "{{end_date}}" }}
"""


def import_contracts(
    service: Service, folder: Path, *, type: str, field: str, contracts: str = CONTRACTS, mapping: str = MAPPING
) -> ImportSummary:
    (folder / "contracts.csv").write_text(contracts)
    (folder / "mapping.toml").write_text(mapping.format(type=type, field=field))
    with ImportReport(folder / "report.csv") as report:
        run = run_import(
            service.books,
            [folder / "contracts.csv"],
            mapping=load_mapping(folder / "mapping.toml"),
            report=report,
            progress=lambda progress: None,
        )
        return service.run(run).summary


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


def test_the_same_dates_as_ends_are_a_day_without_payment(service: Service, tmp_path: Path) -> None:
    import_contracts(service, tmp_path, type="datetime", field="ends_at")
    assert values(service, "customers_churned") == [1, 0]
    assert values(service, "mrr") == [0, 110]


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
