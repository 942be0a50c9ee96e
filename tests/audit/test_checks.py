"""`GET /v1/checks`: green on books that nobody tampered with, red where an entry, a total or anything else was changed."""

from datetime import date
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from app.audit.identities import IDENTITIES
from app.database.tables import attribute, entry, grand_total, label, presence, total
from app.metrics.define import METRICS
from tests.model.calendar import DAY
from tests.model.generators import equals, negation, random_step
from tests.model.pair import Pair
from tests.support.hostile import refused
from tests.support.service import Service, event, moved, session


def ask(service: Service, **asked: Any) -> dict[str, Any]:
    return service.get("/v1/checks", **asked)


def red(service: Service, **asked: Any) -> set[str]:
    """The names of the checks that fail."""
    found = ask(service, **asked)
    assert found["ok"] == all(check["ok"] for check in found["checks"])
    return {check["name"] for check in found["checks"] if not check["ok"]}


def tamper(service: Service, *statements: Any) -> None:
    for statement in statements:
        service.run(service.books.database.write(lambda connection, s=statement: connection.execute(s)))


def of(table: Any, measure: str) -> Any:
    return table.c.measure == sa.select(label.c.key).where(label.c.text == measure).scalar_subquery()


def test_all_identities_are_of_metrics_that_there_are() -> None:
    assert {name for one in IDENTITIES for name in one.metrics} <= METRICS.keys()
    assert all(one.sentence.endswith(".") for one in IDENTITIES)
    assert len({one.name for one in IDENTITIES}) == len(IDENTITIES)


@pytest.mark.parametrize("seed", range(3))
def test_any_history_is_green_at_any_granularity(service: Service, seed: int) -> None:
    random = Random(seed)
    pair = Pair(service).on(date(2026, 2, 10))
    pair.define("paying", negation(equals("plan", "free")))
    for _ in range(30):
        pair.on(pair.today + DAY * random.randrange(3), hours=12)
        random_step(random, pair)
    for granularity in ("day", "week", "month", "quarter", "total"):
        asked = {"start": "2026-01-20", "end": "2026-04-10", "granularity": granularity}
        assert red(service, **asked) == set()
    assert red(service, all="true") == set()


def test_empty_books_are_green(service: Service) -> None:
    assert red(service) == red(service, all="true") == set()


MARCH = {"value": entry.c.value + 10_000}
TAMPERINGS: dict[str, tuple[list[Any], set[str]]] = {
    "an entry of a flow": ([sa.update(entry).where(of(entry, "sessions")).values(MARCH)], {"known_today"}),
    "a total of a flow": ([sa.update(total).where(of(total, "sessions")).values(m03=9)], {"adds_over_groups"}),
    "a total of a stock": (
        # Of a month that is over: of the running one, balances are read from the entries.
        [sa.update(total).where(of(total, "mrr")).values(m02=total.c.m02 + 90_000)],
        {"adds_over_groups"},
    ),
    "a grand total of a flow": (
        [sa.update(grand_total).where(of(grand_total, "sessions")).values(m03=9)],
        {"known_today", "adds_over_groups"},
    ),
    "a grand total of a stock": (
        [sa.update(grand_total).where(of(grand_total, "mrr")).values(m02=grand_total.c.m02 + 90_000)],
        {"known_today", "mrr_moves", "adds_over_groups"},
    ),
    "a movement in both": (
        [
            sa.update(entry).where(of(entry, "mrr_new")).values(MARCH),
            sa.update(total).where(of(total, "mrr_new")).values(m03=total.c.m03 + 10_000),
        ],
        {"mrr_moves"},
    ),
    "a customer in both": (
        [
            sa.update(entry).where(of(entry, "customers")).values(value=entry.c.value + 1),
            sa.update(total).where(of(total, "customers")).values(m03=total.c.m03 + 1),
        ],
        {"customers_move"},
    ),
    "a flow in both, as only the events can tell": (
        [
            sa.update(entry).where(of(entry, "sessions")).values(value=entry.c.value + 1),
            sa.update(total).where(of(total, "sessions")).values(m03=total.c.m03 + 1),
        ],
        set(),
    ),
    "a day of presence": ([sa.update(presence).values(m03=0)], set()),
    "an attribute that is held twice": (
        [
            sa.insert(attribute).from_select(
                [column.name for column in attribute.c],
                sa.select(*(c + 1 if c.name == "recorded_on" else c for c in attribute.c)),
            )
        ],
        {"adds_over_groups"},
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_seen(service: Service, tampering: str) -> None:
    statements, expected = TAMPERINGS[tampering]
    service.send(
        moved(plan="pro"),
        session(),
        event("subscription.changed", subscription_id="one", mrr="10", seats=3),
        event("subscription.changed", "globex", subscription_id="one", mrr="20"),
    )
    assert red(service) == set()
    tamper(service, *statements)
    found = red(service)
    # Nothing escapes the kept events; what else is seen depends on what was left consistent.
    assert "kept_events" in found and expected <= found
    assert "kept_events" in red(service, all="true")


def test_a_difference_says_where_it_is(service: Service) -> None:
    service.send(session())
    tamper(service, sa.update(grand_total).where(of(grand_total, "sessions")).values(m03=9))
    (check,) = [check for check in ask(service, period="2026-03")["checks"] if check["name"] == "known_today"]
    assert not check["ok"]
    (difference,) = [found for found in check["differences"] if found["metrics"] == ["sessions"]]
    assert difference == {
        "period": "2026-03",
        "start": "2026-03-01",
        "group": {},
        "metrics": ["sessions"],
        "one": 9,
        "other": 1,
    }


def test_many_differences_are_counted_and_the_first_are_shown(service: Service) -> None:
    service.send(*(session(f"a{number}") for number in range(30)))
    tamper(service, sa.delete(entry))
    (check,) = [check for check in ask(service, accounts=30)["checks"] if check["name"] == "kept_events"]
    assert len(check["differences"]) == 20 < check["differing"]


def test_only_the_asked_number_of_accounts_is_gone_through(service: Service) -> None:
    service.send(*(session(f"a{number}") for number in range(9)))

    def gone_through(**asked: Any) -> int:
        return next(c["compared"] for c in ask(service, **asked)["checks"] if c["name"] == "kept_events")

    assert (gone_through(accounts=2), gone_through(), gone_through(all="true")) == (2, 9, 9)


def test_what_cannot_be_checked_is_refused(service: Service) -> None:
    for asked in (
        {"accounts": "0"},
        {"period": "soon"},
        {"metric": "nps"},
        {"start": "2026-03-02", "end": "2026-03-01"},
    ):
        assert refused(service.request("GET", "/v1/checks", params=asked), 422)
    assert refused(service.request("GET", "/v1/checks", headers={"Authorization": "Bearer no"}), 401)


def test_more_segments_than_a_question_can_have_are_checked_in_part(service: Service) -> None:
    for number in range(45):
        service.put(f"/v1/segments/s{number}", {"filter": f'k{number} = "x"'})
    service.send(session())
    assert red(service) == set()


def test_the_whole_ledger_is_computed_anew_for_an_admin_only(service: Service) -> None:
    made = service.request("POST", "/v1/keys", json={"name": "bi", "scopes": ["read"]}).json()
    for path, status in (("/v1/checks", 200), ("/v1/checks?all=true", 403)):
        answer = service.request("GET", path, headers={"Authorization": f"Bearer {made['key']}"})
        assert answer.status_code == status
