"""Distinct users over HTTP: of every range and at any features exact, by both clocks; and who was registered."""

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

    def told(self, number: int) -> dict[str, Any]:
        at = f"{self.day}T{number % 24:02}:00:00Z"
        if self.feature is None:
            return session(self.account, user=self.user, at=at, seconds=60)
        return event("feature.used", self.account, user=self.user, at=at, feature=self.feature)


def uses(random: Random, *, many: int) -> list[Use]:
    """What some users did on days of two years, often on the same ones and around turns of units."""
    turns = [
        date(2024, 12, 31),
        date(2025, 1, 1),
        date(2025, 3, 31),
        date(2025, 6, 30),
        date(2026, 3, 14),
        date(2026, 3, 15),
    ]
    found = []
    for _ in range(many):
        day = random.choice(turns) if random.randrange(3) == 0 else date(2024, 3, 21) + DAY * random.randrange(724)
        feature = random.choice([None, "export", "search", "share"])
        found.append(Use(random.choice(["acme", "globex"]), random.choice(["ada", "bob", "eve"]), day, feature))
    return found


def distinct(found: Iterable[Use], row: dict[str, Any], features: Iterable[str | None] | None = None) -> int:
    """How many users did anything in the row's period, or used any of these features."""
    start, end = date.fromisoformat(row["start"]), date.fromisoformat(row["end"])
    within = (use for use in found if start <= use.day < end and (features is None or use.feature in features))
    return len({(use.account, use.user) for use in within})


FEATURES = ("export", "search", "share")


@pytest.mark.parametrize("fiscal_year_start", [1, 4])
def test_users_are_distinct_over_every_range_of_two_years(start: Any, fiscal_year_start: int) -> None:
    service = start(fiscal_year_start=fiscal_year_start)
    random = Random(fiscal_year_start)
    found = uses(random, many=150)
    told = [use.told(number) for number, use in enumerate(found)]
    service.send(*random.sample(told, len(told)))
    service.send(*random.sample(told, 20))
    for asked in RANGES:
        for row in service.rows("active_users", **asked):
            assert row["value"] == row["sample_size"] == distinct(found, row), row
        for row in service.rows("active_users", **asked, group_by="account"):
            own = [use for use in found if use.account == row["group"]["account"]]
            assert row["value"] == distinct(own, row), row
        for some in (FEATURES, ("export",), ("export", "share"), ("share", "unheard")):
            narrowed = {} if some == FEATURES else {"subject": list(some)}
            for row in service.rows("feature_adoption_rate", **asked, **narrowed):
                assert (row["numerator"], row["denominator"]) == (distinct(found, row, some), distinct(found, row)), row
        for row in service.rows("feature_adoption_rate", **asked, group_by="subject"):
            assert row["numerator"] == distinct(found, row, [row["group"]["subject"]]), row
            assert row["denominator"] == distinct(found, row), row
    assert service.differences() == []


def test_what_was_known_of_two_years_is_answered_again(service: Service) -> None:
    random = Random(9)
    found = uses(random, many=60)
    told = [use.told(number) for number, use in enumerate(found)]
    known: dict[str, list[Use]] = {}
    service.on("2026-03-16")
    for lot in range(3):
        service.send(*told[20 * lot : 20 * lot + 20])
        for gone in range(20 * lot, 20 * lot + 20, 7) if lot < 2 else ():
            service.later(days=1).retract(found[gone].account, told[gone]["id"])
            found[gone] = found[gone]._replace(day=date(1999, 1, 1))
        known[str(service.now.date())] = found[: 20 * lot + 20]
        service.later(days=1)
    for as_of, there in known.items():
        for asked in RANGES:
            for row in service.rows("active_users", **asked, as_of=as_of):
                assert row["value"] == distinct(there, row), (as_of, row)
            for row in service.rows("feature_adoption_rate", **asked, as_of=as_of, subject=["search", "share"]):
                assert row["numerator"] == distinct(there, row, ["search", "share"]), (as_of, row)
    assert service.differences() == []


MONTH, ODD, WEEK = (
    {"period": "2026-02"},
    {"start": "2026-02-09", "end": "2026-02-25", "granularity": "total"},
    {"period": "2026-W07", "granularity": "week"},
)


def only(service: Service, metric: str, **asked: Any) -> dict[str, Any]:
    """The only row of a question that names its range."""
    (row,) = service.rows(metric, **asked)
    return row


def active(service: Service, **asked: Any) -> list[int]:
    """Active users of a month, an odd range and a week, which all hold 2026-02-10."""
    return [only(service, "active_users", **way, **asked)["value"] for way in (MONTH, ODD, WEEK)]


def test_an_event_that_comes_late_counts_from_the_day_it_was_known(service: Service) -> None:
    service.on("2026-03-01").send(session(user="bob", at="2026-02-11"))
    service.on("2026-03-05").send(session(user="ada", at="2026-02-10"))
    assert active(service) == active(service, as_of="2026-03-05") == [2, 2, 2]
    assert active(service, as_of="2026-03-04") == [1, 1, 1]
    assert active(service, as_of="2026-02-28") == [0, 0, 0]


def test_of_two_events_of_a_day_one_taken_back_leaves_the_user_and_the_last_takes_it_away(service: Service) -> None:
    use = event("feature.used", user="ada", feature="export", at="2026-02-10", id="use")
    service.on("2026-03-01").send(session(at="2026-02-10", id="session"), use)
    service.on("2026-03-03").retract("acme", "use")
    assert active(service) == [1, 1, 1]
    adoption = [only(service, "feature_adoption_rate", **way)["numerator"] for way in (MONTH, ODD, WEEK)]
    assert adoption == [0, 0, 0]
    service.on("2026-03-05").retract("acme", "session")
    service.retract("acme", "session")
    assert active(service) == [0, 0, 0]
    assert active(service, as_of="2026-03-04") == active(service, as_of="2026-03-01") == [1, 1, 1]
    assert only(service, "registered_users", **MONTH)["value"] == 0
    assert only(service, "registered_users", **MONTH, as_of="2026-03-04")["value"] == 1
    assert service.differences() == []


def test_an_event_dated_tomorrow_waits_for_its_day(service: Service) -> None:
    service.send(session(user="bob"), session(at="2026-03-16T06:00:00Z"))
    running: list[dict[str, Any]] = [
        {"period": "2026-03"},
        {"period": "2026-Q1", "granularity": "quarter"},
        {"start": "2026-03-03", "end": "2026-03-30", "granularity": "total"},
    ]
    for metric in ("active_users", "registered_users"):
        assert [only(service, metric, **way)["value"] for way in running] == [1, 1, 1]
    assert [only(service, "customer_engagement_rate", **way)["denominator"] for way in running] == [1, 1, 1]
    service.later(days=1)
    for metric in ("active_users", "registered_users"):
        assert [only(service, metric, **way)["value"] for way in running] == [2, 2, 2]
        assert [only(service, metric, **way, as_of="2026-03-15")["value"] for way in running] == [1, 1, 1]
    assert [only(service, "customer_engagement_rate", **way)["denominator"] for way in running] == [2, 2, 2]


def test_who_is_removed_and_comes_back_on_the_same_day_was_never_away(service: Service) -> None:
    service.on("2026-03-01").send(event("user.registered", user="ada", at="2026-02-01"))
    service.send(event("user.removed", user="ada", at="2026-02-10T10:00:00Z"))
    service.on("2026-03-02").send(session(at="2026-02-10T18:00:00Z", id="back"))
    days = {"start": "2026-02-09", "end": "2026-02-13", "granularity": "day"}

    def told(**asked: Any) -> list[tuple[int, int]]:
        engaged = service.rows("customer_engagement_rate", **days, **asked)
        standing = service.rows("registered_users", **days, **asked)
        return [(row["denominator"], other["value"]) for row, other in zip(engaged, standing, strict=True)]

    assert told() == [(1, 1)] * 4
    # Before the return was known the user was there until the day of the removal.
    assert told(as_of="2026-03-01") == [(1, 1), (1, 0), (0, 0), (0, 0)]
    service.on("2026-03-04").retract("acme", "back")
    assert told() == told(as_of="2026-03-01")
    assert told(as_of="2026-03-03") == [(1, 1)] * 4
    assert service.differences() == []


def test_use_before_the_removal_of_its_day_does_not_bring_the_user_back(service: Service) -> None:
    service.send(event("user.removed", user="ada", at="2026-02-10T10:00:00Z"), session(at="2026-02-10T09:00:00Z"))
    assert only(service, "registered_users", **MONTH)["value"] == 0
    assert only(service, "customer_engagement_rate", **MONTH)["value"] == 100
    service.send(session(at="2026-02-10T11:00:00Z"))
    assert only(service, "registered_users", **MONTH)["value"] == 1
    assert service.differences() == []


def test_engagement_never_exceeds_a_hundred_however_users_come_and_go(service: Service) -> None:
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
    ways: list[dict[str, Any]] = [{"granularity": "day"}, {"granularity": "week"}, {}, {"granularity": "total"}]
    for way in (*ways, {"granularity": "day", "group_by": "account"}):
        for row in service.rows("customer_engagement_rate", start="2026-02-03", end="2026-03-14", **way):
            assert 0 <= row["numerator"] <= row["denominator"], row
            assert row["value"] is None or 0 <= row["value"] <= 100
    only_within = {"start": "2026-02-03", "end": "2026-02-05", "granularity": "total"}
    service.send(*(event(kind, "new", user="kim", at="2026-02-04") for kind in ("user.registered", "user.removed")))
    assert only(service, "customer_engagement_rate", **only_within, account="new")["denominator"] == 1
    assert service.differences() == []
