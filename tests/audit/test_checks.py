"""`GET /v1/checks`: passes on a ledger that nobody tampered with, fails where an entry, a total or anything else was changed."""

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
from tests.support.hostile import is_problem
from tests.support.service import Service, account_update, event, session


def get_checks(service: Service, **params: Any) -> dict[str, Any]:
    return service.get("/v1/checks", **params)


def failing_checks(service: Service, **params: Any) -> set[str]:
    """Return the names of the checks that fail."""
    body = get_checks(service, **params)
    assert body["ok"] == all(check["ok"] for check in body["checks"])
    return {check["name"] for check in body["checks"] if not check["ok"]}


def tamper(service: Service, *statements: Any) -> None:
    for statement in statements:
        service.run(service.books.database.write(lambda connection, s=statement: connection.execute(s)))


def is_measure(table: Any, measure: str) -> Any:
    return table.c.measure == sa.select(label.c.key).where(label.c.text == measure).scalar_subquery()


def test_all_identities_use_existing_metrics() -> None:
    assert {name for identity in IDENTITIES for name in identity.metrics} <= METRICS.keys()
    assert all(identity.sentence.endswith(".") for identity in IDENTITIES)
    assert len({identity.name for identity in IDENTITIES}) == len(IDENTITIES)


@pytest.mark.parametrize("seed", range(3))
def test_any_history_passes_at_any_granularity(service: Service, seed: int) -> None:
    random = Random(seed)
    pair = Pair(service).on(date(2026, 2, 10))
    pair.define("paying", negation(equals("plan", "free")))
    for _ in range(30):
        pair.on(pair.today + DAY * random.randrange(3), hours=12)
        random_step(random, pair)
    for granularity in ("day", "week", "month", "quarter", "total"):
        params = {"start": "2026-01-20", "end": "2026-04-10", "granularity": granularity}
        assert failing_checks(service, **params) == set()
    assert failing_checks(service, all="true") == set()


def test_an_empty_ledger_passes(service: Service) -> None:
    assert failing_checks(service) == failing_checks(service, all="true") == set()


MARCH = {"value": entry.c.value + 10_000}
TAMPERINGS: dict[str, tuple[list[Any], set[str]]] = {
    "an entry of a flow": ([sa.update(entry).where(is_measure(entry, "sessions")).values(MARCH)], {"known_today"}),
    "a total of a flow": ([sa.update(total).where(is_measure(total, "sessions")).values(m03=9)], {"adds_over_groups"}),
    "a total of a stock": (
        # Of a month that has ended: balances of the running month are read from the entries.
        [sa.update(total).where(is_measure(total, "mrr")).values(m02=total.c.m02 + 90_000)],
        {"adds_over_groups"},
    ),
    "a grand total of a flow": (
        [sa.update(grand_total).where(is_measure(grand_total, "sessions")).values(m03=9)],
        {"known_today", "adds_over_groups"},
    ),
    "a grand total of a stock": (
        [sa.update(grand_total).where(is_measure(grand_total, "mrr")).values(m02=grand_total.c.m02 + 90_000)],
        {"known_today", "mrr_moves", "adds_over_groups"},
    ),
    "a movement in both": (
        [
            sa.update(entry).where(is_measure(entry, "mrr_new")).values(MARCH),
            sa.update(total).where(is_measure(total, "mrr_new")).values(m03=total.c.m03 + 10_000),
        ],
        {"mrr_moves"},
    ),
    "a customer in both": (
        [
            sa.update(entry).where(is_measure(entry, "customers")).values(value=entry.c.value + 1),
            sa.update(total).where(is_measure(total, "customers")).values(m03=total.c.m03 + 1),
        ],
        {"customers_move"},
    ),
    "a flow in both, as only the events can tell": (
        [
            sa.update(entry).where(is_measure(entry, "sessions")).values(value=entry.c.value + 1),
            sa.update(total).where(is_measure(total, "sessions")).values(m03=total.c.m03 + 1),
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
def test_tampering_is_detected(service: Service, tampering: str) -> None:
    statements, expected = TAMPERINGS[tampering]
    service.send(
        account_update(plan="pro"),
        session(),
        event("subscription.changed", subscription_id="one", mrr="10", seats=3),
        event("subscription.changed", "globex", subscription_id="one", mrr="20"),
    )
    assert failing_checks(service) == set()
    tamper(service, *statements)
    failing = failing_checks(service)
    # The comparison with the stored events finds everything; others find what is inconsistent.
    assert "kept_events" in failing and expected <= failing
    assert "kept_events" in failing_checks(service, all="true")


def test_a_difference_has_its_period_group_and_metrics(service: Service) -> None:
    service.send(session())
    tamper(service, sa.update(grand_total).where(is_measure(grand_total, "sessions")).values(m03=9))
    (check,) = [check for check in get_checks(service, period="2026-03")["checks"] if check["name"] == "known_today"]
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


def test_many_differences_are_counted_and_the_first_are_listed(service: Service) -> None:
    service.send(*(session(f"a{number}") for number in range(30)))
    tamper(service, sa.delete(entry))
    (check,) = [check for check in get_checks(service, accounts=30)["checks"] if check["name"] == "kept_events"]
    assert len(check["differences"]) == 20 < check["differing"]


def test_only_the_requested_number_of_accounts_is_verified(service: Service) -> None:
    service.send(*(session(f"a{number}") for number in range(9)))

    def count_compared(**params: Any) -> int:
        return next(c["compared"] for c in get_checks(service, **params)["checks"] if c["name"] == "kept_events")

    assert (count_compared(accounts=2), count_compared(), count_compared(all="true")) == (2, 9, 9)


def test_an_invalid_request_for_checks_is_an_error(service: Service) -> None:
    for params in (
        {"accounts": "0"},
        {"period": "soon"},
        {"metric": "nps"},
        {"start": "2026-03-02", "end": "2026-03-01"},
    ):
        assert is_problem(service.request("GET", "/v1/checks", params=params), 422)
    assert is_problem(service.request("GET", "/v1/checks", headers={"Authorization": "Bearer no"}), 401)


def test_a_part_of_very_many_segments_is_checked(service: Service) -> None:
    for number in range(45):
        service.put(f"/v1/segments/s{number}", {"filter": f'k{number} = "x"'})
    service.send(session())
    assert failing_checks(service) == set()


def test_only_an_admin_can_verify_the_whole_ledger(service: Service) -> None:
    key = service.request("POST", "/v1/keys", json={"name": "bi", "scopes": ["read"]}).json()
    for path, status in (("/v1/checks", 200), ("/v1/checks?all=true", 403)):
        answer = service.request("GET", path, headers={"Authorization": f"Bearer {key['key']}"})
        assert answer.status_code == status
