"""What holds of all targets: better values never look worse, and what was answered as of a day stays."""

from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.scorecard.judgment import Aim, judge
from tests.scorecard.cards import card, history
from tests.support.campaign import examples
from tests.support.service import Service, account_update, event, session, survey_responses

ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.fractions(min_value=-1000, max_value=1000, max_denominator=100)
DAYS = st.integers(1, 40)
# From the worst to the best.
RANKS = {"missed": 0, "behind": 0, "on_track": 1, "met": 1}


@st.composite
def aims(draw: st.DrawFn, *, has_begun: bool = True) -> Aim:
    sign, target = draw(st.sampled_from([1, -1])), draw(NUMBERS)
    distance = draw(st.none() | st.fractions(min_value=Fraction(1, 100), max_value=100, max_denominator=100))
    all_days = draw(DAYS)
    days = draw(st.integers(1 if has_begun else 0, all_days))
    is_flow = draw(st.booleans())
    return Aim(
        sign=sign,
        target=target,
        baseline=None if distance is None else target - sign * distance,
        path_value=target - sign * draw(st.fractions(min_value=0, max_value=100, max_denominator=100)),
        is_flow=is_flow,
        is_final_early=is_flow and draw(st.booleans()),
        days=days,
        all_days=all_days,
        has_ended=days == all_days and draw(st.booleans()),
    )


@ANY_SPEED
@given(aims(), NUMBERS, NUMBERS)
def test_a_better_value_never_looks_worse(aim: Aim, one: Fraction, other: Fraction) -> None:
    worse, better = sorted((one, other), key=lambda value: aim.sign * value)
    low, high = judge(worse, aim), judge(better, aim)
    assert RANKS[low.status] <= RANKS[high.status]
    for name in ("attainment", "projection", "gap"):
        before, after = getattr(low, name), getattr(high, name)
        sign = 1 if name == "attainment" else aim.sign
        assert (before is None) == (after is None)
        assert before is None or sign * (after - before) >= 0
    assert low.expected == high.expected


@ANY_SPEED
@given(aims(), NUMBERS)
def test_at_the_end_attainment_is_100_exactly_where_the_target_is_met(aim: Aim, value: Fraction) -> None:
    over = aim._replace(days=aim.all_days, has_ended=True)
    judgment = judge(value, over)
    assert judgment.status == ("met" if aim.sign * (value - aim.target) >= 0 else "missed")
    assert judgment.projection == value
    if judgment.attainment is not None:
        assert (judgment.attainment >= 100) == (judgment.status == "met")
    exact = judge(aim.target, over)
    assert (exact.status, exact.gap) == ("met", 0)
    assert exact.attainment in (100, None)


@ANY_SPEED
@given(aims(), NUMBERS)
def test_a_flow_is_on_track_exactly_where_its_run_rate_reaches_the_target(aim: Aim, value: Fraction) -> None:
    running = aim._replace(is_flow=True, is_final_early=False, has_ended=False)
    judgment = judge(value, running)
    assert judgment.projection is not None
    reaches = aim.sign * (judgment.projection - aim.target) >= 0
    assert judgment.status == ("on_track" if reaches else "behind")


@ANY_SPEED
@given(aims(has_begun=False), st.none() | NUMBERS)
def test_without_a_value_or_a_day_there_is_no_data(aim: Aim, value: Fraction | None) -> None:
    judgment = judge(value, aim)
    assert (judgment.status == "no_data") == (value is None or aim.days == 0)
    if judgment.status == "no_data":
        assert (judgment.attainment, judgment.projection, judgment.gap) == (None, None, None)


METRICS = ("sessions", "customers", "csat", "mrr_new", "support_tickets", "customer_churn_rate", "nps", "active_users")
FIRST_DAY = date(2026, 1, 20)


class RandomDays:
    """Random days in the life of targets: late data, retractions, other targets, other segments, updates of comments."""

    def __init__(self, service: Service, random: Random) -> None:
        self.service, self.random = service, random
        self.sent: list[tuple[str, str]] = []
        self.number = 0

    def live(self, day: date) -> None:
        self.service.on(day)
        actions = [*[self.send] * 6, self.put, self.put, self.retract, self.define]
        for action in self.random.choices(actions, k=self.random.randint(2, 6)):
            action(day)
        if self.random.random() < 0.1:
            self.end(day)

    def send(self, day: date) -> None:
        account = self.random.choice(["acme", "globex", "initech"])
        at = str(day - timedelta(days=self.random.choice([0, 0, 1, 5, 40])))
        self.number += 1
        comments = [id for own, id in self.sent if own == account and id.startswith("r")]
        events: list[dict[str, Any]] = [
            session(account, id=f"s{self.number}", at=at, user=self.random.choice("abc")),
            event("ticket.opened", account, id=f"t{self.number}", at=at, ticket_id=str(self.number)),
            event("subscription.changed", account, id=f"b{self.number}", at=at, subscription_id="s", mrr=str(self.number)),
            event("subscription.canceled", account, id=f"c{self.number}", at=at, subscription_id="s"),
            survey_responses("csat", [self.random.choice([1, 5])], account, id=f"v{self.number}", at=at)[0],
            survey_responses("nps", [self.random.choice([2, 9])], account, id=f"r{self.number}", at=at, comment="Hm.")[0],
            account_update(account, id=f"a{self.number}", at=f"{at}T00:00:00Z", plan=self.random.choice(["pro", "free"])),
            event("feedback.updated", account, id=f"u{self.number}", at=at, feedback=self.random.choice(comments or ["r0"]),
                  status=self.random.choice(["open", "resolved"])),
        ]  # fmt: skip
        chosen = self.random.choice(events)
        if self.service.send(chosen)["accepted"]:
            self.sent.append((account, chosen["id"]))

    def put(self, day: date) -> None:
        metric = self.random.choice(METRICS)
        more: dict[str, Any] = {}
        if self.random.random() < 0.4:
            more["from"] = str(day - timedelta(days=self.random.choice([-20, 0, 9, 30])))
        if self.random.random() < 0.3:
            more["segment"] = "pro"
        granularity = self.random.choice(["day", "week", "week", "month", "quarter"])
        value = self.random.choice([1, 5, 50, "33.5"])
        body = {"metric": metric, "granularity": granularity, "value": value} | more
        # It may be a duplicate of another one, which is no fault of the test.
        self.service.request("PUT", f"/v1/targets/{self.random.choice('xyz')}", json=body)

    def end(self, day: date) -> None:
        self.service.request("DELETE", f"/v1/targets/{self.random.choice('xyz')}")

    def retract(self, day: date) -> None:
        if self.sent:
            account, id = self.sent.pop(self.random.randrange(len(self.sent)))
            self.service.retract(account, id)

    def define(self, day: date) -> None:
        self.service.put(
            "/v1/segments/pro?strict=false", {"filter": self.random.choice(['plan = "pro"', "plan is not null"])}
        )


@pytest.mark.parametrize("seed", range(examples(4)))
def test_what_was_answered_as_of_a_day_never_changes(seed: int, service: Service) -> None:
    service.put("/v1/segments/pro?strict=false", {"filter": 'plan = "pro"'})
    days, known = RandomDays(service, Random(seed)), {}
    for offset in range(0, 60, 3):
        day = FIRST_DAY + timedelta(days=offset)
        days.live(day)
        for parameters in ({}, {"period": "last_month"}, {"period": "2026"}):
            asked = {"as_of": str(day)} | parameters
            known[tuple(asked.items())] = service.get("/v1/scorecard", **asked)
    for asked, answer in known.items():
        assert service.get("/v1/scorecard", **dict(asked)) == answer, asked
    assert any(answer["rows"] for answer in known.values())
    compare_histories(service)


def compare_histories(service: Service) -> None:
    """Compare the two sides of each history with the scorecards of then and of now."""
    for id in "xyz":
        if service.request("GET", f"/v1/targets/{id}").status_code == 404:
            continue
        for found in history(service, id, limit=60):
            last_day = str(date.fromisoformat(found["end"]) - timedelta(days=1))
            range_of_day = {"start": last_day, "end": found["end"]}
            now = card(service, **range_of_day)[id]
            names = ("value", "target", "attainment", "gap", "status")
            assert {name: found["now"][name] for name in names} == {name: now[name] for name in names}
            then = card(service, as_of=last_day, **range_of_day).get(id)
            if found["at_end"]["reason"] != "no_target" and then and then["start"] == found["start"]:
                numbers = ("value", "target", "attainment", "gap")
                assert {name: found["at_end"][name] for name in numbers} == {name: then[name] for name in numbers}
