"""Distinct users over HTTP: exact for every range and for any features, as of any day; and registered users."""

from collections.abc import Iterable
from datetime import date, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest

from tests.support.service import Service, event, session

DAY = timedelta(days=1)
TWO_YEARS = {"start": "2024-03-20", "end": "2026-03-16"}
RANGES: list[dict[str, Any]] = [
    {"start": "2024-12-20", "end": "2025-01-20", "granularity": "day"},
    *(TWO_YEARS | {"granularity": granularity} for granularity in ("week", "month", "quarter", "year", "total")),
    *(
        {"start": s, "end": e, "granularity": "total"}
        for s, e in (("2024-12-30", "2025-01-03"), ("2025-02-11", "2025-11-05"))
    ),
    {"period": "2025", "granularity": "total"},
    {"start": "2024-05-11", "end": "2025-08-29", "granularity": "quarter", "totals": "true"},
]


class Use(NamedTuple):
    account: str
    user: str
    day: date
    feature: str | None = None

    def to_event(self, number: int) -> dict[str, Any]:
        at = f"{self.day}T{number % 24:02}:00:00Z"
        if self.feature is None:
            return session(self.account, user=self.user, at=at, seconds=60)
        return event("feature.used", self.account, user=self.user, at=at, feature=self.feature)


def random_uses(random: Random, *, count: int) -> list[Use]:
    """Return what some users did in two years, often on the same days and around the edges of units."""
    unit_edges = [
        date(2024, 12, 31),
        date(2025, 1, 1),
        date(2025, 3, 31),
        date(2025, 6, 30),
        date(2026, 3, 14),
        date(2026, 3, 15),
    ]
    uses = []
    for _ in range(count):
        day = random.choice(unit_edges) if random.randrange(3) == 0 else date(2024, 3, 21) + DAY * random.randrange(724)
        feature = random.choice([None, "export", "search", "share"])
        uses.append(Use(random.choice(["acme", "globex"]), random.choice(["ada", "bob", "eve"]), day, feature))
    return uses


def count_users(uses: Iterable[Use], row: dict[str, Any], features: Iterable[str | None] | None = None) -> int:
    """Return how many users were active in the row's period or, with `features`, used any of them."""
    start, end = date.fromisoformat(row["start"]), date.fromisoformat(row["end"])
    within = (use for use in uses if start <= use.day < end and (features is None or use.feature in features))
    return len({(use.account, use.user) for use in within})


FEATURES = ("export", "search", "share")


@pytest.mark.parametrize("fiscal_year_start", [1, 4])
def test_users_are_distinct_over_every_range_of_two_years(start_service: Any, fiscal_year_start: int) -> None:
    service = start_service(fiscal_year_start=fiscal_year_start)
    random = Random(fiscal_year_start)
    uses = random_uses(random, count=150)
    events = [use.to_event(number) for number, use in enumerate(uses)]
    service.send(*random.sample(events, len(events)))
    service.send(*random.sample(events, 20))
    for question in RANGES:
        for row in service.rows("active_users", **question):
            assert row["value"] == row["sample_size"] == count_users(uses, row), row
        for row in service.rows("active_users", **question, group_by="account"):
            account_uses = [use for use in uses if use.account == row["group"]["account"]]
            assert row["value"] == count_users(account_uses, row), row
        for features_used in (FEATURES, ("export",), ("export", "share"), ("share", "unheard")):
            subject = {} if features_used == FEATURES else {"subject": list(features_used)}
            for row in service.rows("feature_adoption_rate", **question, **subject):
                assert (row["numerator"], row["denominator"]) == (
                    count_users(uses, row, features_used),
                    count_users(uses, row),
                ), row
        for row in service.rows("feature_adoption_rate", **question, group_by="subject"):
            assert row["numerator"] == count_users(uses, row, [row["group"]["subject"]]), row
            assert row["denominator"] == count_users(uses, row), row
    assert service.differences() == []


def test_earlier_answers_about_two_years_stay(service: Service) -> None:
    random = Random(9)
    uses = random_uses(random, count=60)
    events = [use.to_event(number) for number, use in enumerate(uses)]
    uses_as_of: dict[str, list[Use]] = {}
    service.on("2026-03-16")
    for number in range(3):
        service.send(*events[20 * number : 20 * number + 20])
        for index in range(20 * number, 20 * number + 20, 7) if number < 2 else ():
            service.later(days=1).retract(uses[index].account, events[index]["id"])
            uses[index] = uses[index]._replace(day=date(1999, 1, 1))
        uses_as_of[str(service.now.date())] = uses[: 20 * number + 20]
        service.later(days=1)
    for as_of, past_uses in uses_as_of.items():
        for question in RANGES:
            for row in service.rows("active_users", **question, as_of=as_of):
                assert row["value"] == count_users(past_uses, row), (as_of, row)
            for row in service.rows("feature_adoption_rate", **question, as_of=as_of, subject=["search", "share"]):
                assert row["numerator"] == count_users(past_uses, row, ["search", "share"]), (as_of, row)
    assert service.differences() == []


MONTH, ODD, WEEK = (
    {"period": "2026-02"},
    {"start": "2026-02-09", "end": "2026-02-25", "granularity": "total"},
    {"period": "2026-W07", "granularity": "week"},
)


def only_row(service: Service, metric: str, **question: Any) -> dict[str, Any]:
    """Return the only row of a question that names its range."""
    (row,) = service.rows(metric, **question)
    return row


def active_users(service: Service, **question: Any) -> list[int]:
    """Return the active users of a month, of a range that is no unit, and of a week; all contain 2026-02-10."""
    return [only_row(service, "active_users", **days, **question)["value"] for days in (MONTH, ODD, WEEK)]


def test_a_late_event_counts_from_its_recorded_day(service: Service) -> None:
    service.on("2026-03-01").send(session(user="bob", at="2026-02-11"))
    service.on("2026-03-05").send(session(user="ada", at="2026-02-10"))
    assert active_users(service) == active_users(service, as_of="2026-03-05") == [2, 2, 2]
    assert active_users(service, as_of="2026-03-04") == [1, 1, 1]
    assert active_users(service, as_of="2026-02-28") == [0, 0, 0]


def test_a_user_counts_until_the_last_event_of_the_day_is_retracted(service: Service) -> None:
    use = event("feature.used", user="ada", feature="export", at="2026-02-10", id="use")
    service.on("2026-03-01").send(session(at="2026-02-10", id="session"), use)
    service.on("2026-03-03").retract("acme", "use")
    assert active_users(service) == [1, 1, 1]
    adoption = [only_row(service, "feature_adoption_rate", **days)["numerator"] for days in (MONTH, ODD, WEEK)]
    assert adoption == [0, 0, 0]
    service.on("2026-03-05").retract("acme", "session")
    service.retract("acme", "session")
    assert active_users(service) == [0, 0, 0]
    assert active_users(service, as_of="2026-03-04") == active_users(service, as_of="2026-03-01") == [1, 1, 1]
    assert only_row(service, "registered_users", **MONTH)["value"] == 0
    assert only_row(service, "registered_users", **MONTH, as_of="2026-03-04")["value"] == 1
    assert service.differences() == []


def test_an_event_of_tomorrow_counts_from_tomorrow(service: Service) -> None:
    service.send(session(user="bob"), session(at="2026-03-16T06:00:00Z"))
    ranges: list[dict[str, Any]] = [
        {"period": "2026-03"},
        {"period": "2026-Q1", "granularity": "quarter"},
        {"start": "2026-03-03", "end": "2026-03-30", "granularity": "total"},
    ]
    for metric in ("active_users", "registered_users"):
        assert [only_row(service, metric, **days)["value"] for days in ranges] == [1, 1, 1]
    assert [only_row(service, "customer_engagement_rate", **days)["denominator"] for days in ranges] == [1, 1, 1]
    service.later(days=1)
    for metric in ("active_users", "registered_users"):
        assert [only_row(service, metric, **days)["value"] for days in ranges] == [2, 2, 2]
        assert [only_row(service, metric, **days, as_of="2026-03-15")["value"] for days in ranges] == [1, 1, 1]
    assert [only_row(service, "customer_engagement_rate", **days)["denominator"] for days in ranges] == [2, 2, 2]


def test_a_user_removed_and_active_again_on_the_same_day_stays_registered(service: Service) -> None:
    service.on("2026-03-01").send(event("user.registered", user="ada", at="2026-02-01"))
    service.send(event("user.removed", user="ada", at="2026-02-10T10:00:00Z"))
    service.on("2026-03-02").send(session(at="2026-02-10T18:00:00Z", id="back"))
    days = {"start": "2026-02-09", "end": "2026-02-13", "granularity": "day"}

    def engaged_and_registered(**question: Any) -> list[tuple[int, int]]:
        engaged = service.rows("customer_engagement_rate", **days, **question)
        registered = service.rows("registered_users", **days, **question)
        return [(row["denominator"], other["value"]) for row, other in zip(engaged, registered, strict=True)]

    assert engaged_and_registered() == [(1, 1)] * 4
    # As of a day before the later session was recorded, the user was registered until the day of the removal.
    assert engaged_and_registered(as_of="2026-03-01") == [(1, 1), (1, 0), (0, 0), (0, 0)]
    service.on("2026-03-04").retract("acme", "back")
    assert engaged_and_registered() == engaged_and_registered(as_of="2026-03-01")
    assert engaged_and_registered(as_of="2026-03-03") == [(1, 1)] * 4
    assert service.differences() == []


def test_activity_before_a_removal_on_the_same_day_does_not_register_the_user(service: Service) -> None:
    service.send(event("user.removed", user="ada", at="2026-02-10T10:00:00Z"), session(at="2026-02-10T09:00:00Z"))
    assert only_row(service, "registered_users", **MONTH)["value"] == 0
    assert only_row(service, "customer_engagement_rate", **MONTH)["value"] == 100
    service.send(session(at="2026-02-10T11:00:00Z"))
    assert only_row(service, "registered_users", **MONTH)["value"] == 1
    assert service.differences() == []


def test_engagement_never_exceeds_100_percent(service: Service) -> None:
    random = Random(4)
    events = []
    for number in range(12):
        account, user = random.choice(["acme", "globex"]), f"user-{number}"
        for _ in range(random.randint(2, 5)):
            at = f"2026-{random.choice(['02', '02', '03'])}-{random.randint(1, 14):02}T{random.randrange(24):02}:00:00Z"
            kind = random.choice(["session", "user.registered", "user.removed", "user.removed"])
            events.append(
                session(account, user=user, at=at) if kind == "session" else event(kind, account, user=user, at=at)
            )
    random.shuffle(events)
    service.send(*events[:20])
    service.send(*events[20:])
    splits: list[dict[str, Any]] = [{"granularity": "day"}, {"granularity": "week"}, {}, {"granularity": "total"}]
    for split in (*splits, {"granularity": "day", "group_by": "account"}):
        for row in service.rows("customer_engagement_rate", start="2026-02-03", end="2026-03-14", **split):
            assert 0 <= row["numerator"] <= row["denominator"], row
            assert row["value"] is None or 0 <= row["value"] <= 100
    only_within = {"start": "2026-02-03", "end": "2026-02-05", "granularity": "total"}
    service.send(*(event(kind, "new", user="kim", at="2026-02-04") for kind in ("user.registered", "user.removed")))
    assert only_row(service, "customer_engagement_rate", **only_within, account="new")["denominator"] == 1
    assert service.differences() == []
