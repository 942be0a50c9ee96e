"""Filters and groupings by attributes: no statement leaves it to the planner how accounts and their attributes are compared."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.accounts.filters import parse_filter
from app.core.periods import Calendar
from app.database.query_plan import QueryPlan
from app.ledger.sums.cohorts import sum_account_cohorts, sum_user_cohorts
from app.ledger.sums.operand_sums import SumsRequest, operand_label_texts, sum_operands
from app.ledger.sums.selection import Selection, Span
from app.metrics.define import METRICS
from tests.support.service import Service, account_update, session

OPERANDS = list(dict.fromkeys(operand for metric in METRICS.values() for operand in metric.operands))
LABELS = {text: number for number, text in enumerate(sorted(operand_label_texts(OPERANDS)))}
# A month and some days of another.
SPANS = [
    Span(date(2026, 1, 1), date(2026, 2, 1), date(2026, 1, 1)),
    Span(date(2026, 2, 1), date(2026, 2, 9), date(2026, 2, 1)),
]
SEGMENTS = (("small", parse_filter("seats < 10")), ("others", parse_filter('not (seats < 10 and plan = "pro")')))
SELECTIONS = {
    "a filter over one attribute": Selection(filter=parse_filter('not plan = "pro"')),
    "a filter over two attributes": Selection(filter=parse_filter('plan != "pro" and seats = 5')),
    "as of a day": Selection(filter=parse_filter("plan is null or seats = 5"), as_of=date(2026, 1, 20)),
    "a grouping": Selection(group_by=("plan",)),
    "three groupings": Selection(group_by=("plan", "seats", "vip")),
    "segments": Selection(group_by=("segment",), segments=SEGMENTS),
    "some accounts": Selection(group_by=("plan", "seats"), accounts=(1, 2)),
}


def explain_all(service: Service, plan: QueryPlan[Any]) -> list[tuple[str, str]]:
    """Return the statements of a query plan with PostgreSQL's plans for them. The results are those of an empty ledger."""

    async def explain(connection: Any) -> list[tuple[str, str]]:
        explained = []
        try:
            statements = next(plan)
            while True:
                for bound in statements:
                    explain = f"EXPLAIN {bound.statement.text}"
                    lines = await (await connection.driver.execute(explain, bound.driver_values())).fetchall()
                    explained.append((bound.statement.text, "\n".join(line for (line,) in lines)))
                statements = plan.send(await connection.fetch_batch(*statements))
        except StopIteration:
            return explained

    return service.run(service.books.database.read(explain))


def check_joins(explained: list[tuple[str, str]]) -> None:
    joins = [(statement, plan) for statement, plan in explained if "FULL OUTER JOIN" in statement]
    assert joins
    for statement, plan in joins:
        assert "Full Join" in plan, f"{statement}\n{plan}"
    for statement, plan in explained:
        if "FULL OUTER JOIN" not in statement:
            assert "attribute" not in statement or "Join" not in plan, f"{statement}\n{plan}"


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_histories_of_accounts_are_joined_by_hashing_or_sorting_whatever_the_planner_guesses(
    service: Service, selection: Selection
) -> None:
    # The tables are empty and not analyzed: PostgreSQL believes that nothing is cheaper than to compare row with row.
    request = SumsRequest(selection, SPANS, LABELS, Calendar(ZoneInfo("UTC")), tomorrow=date(2026, 2, 9))
    check_joins(explain_all(service, sum_operands(OPERANDS, request)))
    check_joins(explain_all(service, sum_account_cohorts(selection, SPANS, first=1, measures={"mrr": 2})))
    check_joins(explain_all(service, sum_user_cohorts(selection, SPANS, presence_label=3)))


def test_a_filter_over_two_attributes_follows_their_changes(service: Service) -> None:
    service.send(
        account_update("acme", plan="pro", seats=5),
        account_update("globex", plan="pro"),
        account_update("acme", at="2026-02-01T00:00:00Z", seats=20),
        account_update("acme", at="2026-03-01T00:00:00Z", plan="free", seats=5),
        *(
            session(account, at=f"2026-{month:02}-10T00:00:00Z")
            for account in ("acme", "globex", "initech")
            for month in (1, 2, 3)
        ),
    )

    def months(filter: str, **question: Any) -> list[int]:
        rows = service.rows("sessions", start="2026-01-01", end="2026-04-01", filter=filter, **question)
        return [row["value"] for row in rows]

    assert months('plan = "pro" and seats = 5') == [1, 0, 0]
    assert months('plan = "pro" and not seats = 5') == [1, 2, 1]
    assert months("plan is null and seats is null") == [1, 1, 1]
    assert months('not (plan = "pro" and seats > 10)') == [3, 2, 3]
    assert months('plan = "free" and seats = 5', segments_as_of="now") == [1, 1, 1]
    groups = service.rows("sessions", start="2026-01-01", end="2026-04-01", group_by="plan,seats", granularity="total")
    assert [(*row["group"].values(), row["value"]) for row in groups] == [
        (None, None, 3),
        ("pro", None, 3),
        ("pro", 5, 3),
    ]


def test_segments_overlap_and_have_accounts_without_attributes(service: Service) -> None:
    service.send(account_update("acme", plan="pro", seats=5), account_update("globex", plan="pro"))
    service.send(*(session(account) for account in ("acme", "globex", "initech")))
    service.put("/v1/segments/small", {"filter": "seats < 10"})
    service.put("/v1/segments/others", {"filter": 'not (seats < 10 and plan = "pro")'})
    service.put("/v1/segments/paying", {"filter": 'plan = "pro"'})
    rows = service.rows("sessions", period="2026-03", group_by="segment")
    assert {row["group"]["segment"]: row["value"] for row in rows} == {"small": 1, "others": 2, "paying": 2}
    rows = service.rows("sessions", period="2026-03", group_by="segment,plan")
    assert [(*row["group"].values(), row["value"]) for row in rows] == [
        ("others", None, 1),
        ("others", "pro", 1),
        ("paying", "pro", 2),
        ("small", "pro", 1),
    ]
