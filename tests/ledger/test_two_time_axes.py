"""An answer of a day is given again, to the digit, with `as_of` that day, whatever was recorded since."""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.database.tables import attribute, entry, grand_total, total
from app.ledger.rebuild import rebuild
from tests.model.calendar import DAY, Calendar
from tests.model.generators import disjunction, equals, less_than, negation, random_question, random_step
from tests.model.pair import Pair
from tests.support.campaign import examples
from tests.support.service import Service, account_update, session

without_deadline = settings(deadline=None, max_examples=examples(8), suppress_health_check=list(HealthCheck))
random_generators = st.builds(Random, st.integers(0, 2**32))
Start = Callable[..., Service]

FEEDBACK = "nps,csat,csat_average,ces,ces_easy_rate,survey_responses,survey_response_rate,feedback_comments"
USAGE = "sessions,average_session_minutes"
MONEY = "mrr,mrr_opening,mrr_net_change,mrr_churned,customers,customer_churn_rate,nrr,grr,quick_ratio,arpa,arpu,clv"
PEOPLE = "active_users,registered_users,customer_engagement_rate,product_usage_rate,stickiness,sessions_per_active_user"
SUPPORT = "first_contact_resolution_rate,average_resolution_hours,ticket_backlog"
JOURNEY = "conversion_rate,onboarding_completion_rate,time_to_value_days,tickets_per_100_customers"
# The questions of a daily report; the test asks three of them each day.
REPORT: list[dict[str, Any]] = [
    {"metrics": FEEDBACK, "group_by": ["plan"], "totals": True},
    {"metrics": FEEDBACK, "period": "last_12_months", "granularity": "quarter"},
    {"metrics": FEEDBACK, "period": "this_quarter", "group_by": ["subject", "channel"]},
    {"metrics": USAGE, "period": "last_30_days", "granularity": "week", "group_by": ["seats", "vip"], "totals": True},
    {"metrics": USAGE, "group_by": ["plan", "account"], "granularity": "year"},
    {
        "metrics": USAGE,
        "where": negation(disjunction(equals("plan", "pro"), less_than("seats", 10))),
        "granularity": "quarter",
    },
    {"metrics": USAGE, "period": "month_to_date", "granularity": "day", "group_by": ["vip"], "segments_as_of": "now"},
    {"metrics": "survey_responses,nps", "segment": ["paying", "small"], "period": "last_3_months", "totals": True},
    {"metrics": "nps,csat", "segment": ["paying"], "group_by": ["channel", "plan"], "period": "this_year"},
    {"metrics": "nps,sessions", "group_by": ["segment"], "granularity": "quarter", "totals": True},
    {"metrics": "feature_uses", "group_by": ["subject", "plan"], "period": "last_8_weeks", "granularity": "week"},
    {"metrics": "support_tickets", "group_by": ["channel"], "start": date(2026, 1, 20), "end": date(2026, 4, 17)},
    {"metrics": "support_tickets", "channel": ["email"], "granularity": "total", "group_by": ["seats"]},
    {"metrics": SUPPORT, "group_by": ["channel", "plan"], "period": "this_year", "totals": True},
    {"metrics": SUPPORT, "period": "last_6_weeks", "granularity": "day"},
    {"metrics": JOURNEY, "group_by": ["plan"], "granularity": "week"},
    {"metrics": "conversion_rate", "group_by": ["subject"], "period": "last_12_months", "totals": True},
    {"metrics": MONEY, "group_by": ["plan"], "totals": True},
    {"metrics": MONEY, "start": date(2026, 1, 20), "end": date(2026, 4, 17), "granularity": "week"},
    {"metrics": "mrr,arr,mrr_churned,customers_churned", "group_by": ["subject", "account"], "granularity": "quarter"},
    {"metrics": PEOPLE, "group_by": ["account"], "start": date(2026, 2, 11), "end": date(2026, 3, 19), "totals": True},
    {"metrics": PEOPLE, "period": "last_8_weeks", "granularity": "day", "segment": ["paying", "small"]},
    {"metrics": "feature_adoption_rate", "group_by": ["subject", "vip"], "granularity": "week"},
]


@pytest.mark.parametrize(
    ("seed", "zone", "fiscal_year_start", "week_start"),
    [(1, "UTC", 1, "monday"), (2, "America/New_York", 4, "sunday"), (3, "Africa/Cairo", 7, "sunday")],
)
def test_answers_as_of_any_past_day_stay_the_same_for_weeks(
    start_service: Start, seed: int, zone: str, fiscal_year_start: int, week_start: str
) -> None:
    random = Random(seed)
    service = start_service(reporting_timezone=zone, fiscal_year_start=fiscal_year_start, week_start=week_start)
    pair = Pair(service, Calendar(zone, fiscal_year_start, week_start)).on(date(2026, 3, 2))
    pair.define("paying", negation(equals("plan", "free")))
    pair.define("small", less_than("seats", 10))
    answers: dict[tuple[date, int], list[dict[str, Any]]] = {}
    for day in (date(2026, 3, 2) + DAY * n for n in range(30)):
        earliest = day
        for hours in sorted(random.sample(range(23), 3)):
            pair.on(day, hours=hours, minutes=random.randrange(60))
            earliest = min(earliest, random_step(random, pair, may_backdate=seed == 3))
        if day.day == 17:
            pair.define("small", disjunction(less_than("seats", 6), equals("vip", True)))
            pair.define("later", equals("plan", "team"))
        if day.day == 24:
            pair.define("later", None)
        pair.at(pair.model.calendar.midnight(day + DAY) - timedelta(seconds=1))
        for recorded_on, number in answers:
            # Imported history changes the answers as of its own recorded day and of later days only.
            if recorded_on >= earliest:
                answers[recorded_on, number] = pair.ask(**REPORT[number], as_of=recorded_on)
        for number in random.sample(range(len(REPORT)), 3):
            answers[day, number] = pair.ask(**REPORT[number])
            assert pair.ask(**REPORT[number], as_of=day) == answers[day, number]
    pair.on(pair.today + 20 * DAY)
    random_step(random, pair)
    for (day, number), rows in answers.items():
        assert pair.ask(**REPORT[number], as_of=day) == rows, (day, number)
    assert service.differences() == []


def test_any_short_history_is_answered_again_as_of_its_days(service: Service) -> None:
    @without_deadline
    @given(random_generators)
    def check(random: Random) -> None:
        pair = Pair(service).on(date(2026, 2, 24))
        answers = []
        for _ in range(random.randint(1, 5)):
            pair.on(pair.today + DAY * random.choice([1, 1, 3, 12]), minutes=random.randrange(1400))
            for _ in range(random.randint(1, 3)):
                random_step(random, pair)
            for _ in range(2):
                question = random_question(random, pair)
                answers.append((question, pair.today, pair.ask(**question)))
        for question, day, rows in answers:
            # While nothing at all is recorded, today's numbers are zeros; later the answer says that nothing was known.
            assert pair.ask(**question, as_of=day) == rows or not pair.is_known_on(day)
        assert pair.differences() == []

    check()


def test_imported_history_counts_from_its_recorded_day(service: Service) -> None:
    @without_deadline
    @given(random_generators)
    def check(random: Random) -> None:
        pair = Pair(service).on(date(2026, 3, 12), hours=9)
        days = []
        for _ in range(random.randint(1, 4)):
            pair.on(pair.today + DAY * random.randrange(3), hours=12)
            days += [random_step(random, pair, may_backdate=True) for _ in range(2)]
        for day in {*days, pair.today, pair.today - DAY}:
            pair.ask(**random_question(random, pair), as_of=day)
        assert pair.differences() == []

    check()


def test_a_rebuild_changes_nothing(service: Service) -> None:
    random = Random(4)
    pair = Pair(service).on(date(2026, 2, 24))
    for _ in range(25):
        pair.on(pair.today + DAY * random.randrange(3), hours=15)
        random_step(random, pair, may_backdate=True)
    before = stored_rows(service)
    assert service.differences() == []
    service.run(drain(rebuild(service.books)))
    assert stored_rows(service) == before
    assert service.differences() == []
    for question in REPORT[:6]:
        pair.ask(**question)
        pair.ask(**question, as_of=pair.today - 9 * DAY)


async def drain(progress: Any) -> None:
    async for _ in progress:
        pass


def test_an_update_retracted_on_its_recorded_day_leaves_no_trace(service: Service) -> None:
    service.on("2026-03-10").send(account_update(plan="pro"))
    before = stored_rows(service)
    service.on("2026-03-12").send(account_update(plan="free", at="2026-03-01") | {"id": "wrong"})
    service.retract("acme", "wrong")
    assert stored_rows(service) == before
    assert service.differences() == []


def test_a_change_from_the_number_1_to_true_is_noticed_on_the_same_day(service: Service) -> None:
    pair = Pair(service)
    number_one, same_instant = (
        account_update(pair.accounts[0], tier=tier) | {"id": id} for tier, id in ((1, "a"), (True, "b"))
    )
    pair.send(number_one, session(pair.accounts[0]))
    pair.send(same_instant)
    (row,) = pair.ask("sessions", period="2026-03", group_by=["tier"])
    assert row["group"]["tier"] is True
    assert service.differences() == []


def test_before_its_first_value_an_attribute_has_that_value_even_if_it_changed_on_the_same_day(
    service: Service,
) -> None:
    pair = Pair(service)
    acme = pair.accounts[0]
    hours = [("09", "trial"), ("10", "pro"), ("11", "team")]
    pair.send(*(account_update(acme, plan=plan, at=f"2026-03-04T{hour}:00:00Z") for hour, plan in hours))
    pair.send(*(session(acme, at=at) for at in ("2026-03-03", "2026-03-04", "2026-03-05")))
    rows = pair.ask("sessions", start=date(2026, 3, 3), end=date(2026, 3, 6), granularity="day", group_by=["plan"])
    assert [row["group"]["plan"] for row in rows if row["value"]] == ["trial", "trial", "team"]


def test_recorded_days_never_run_backwards_within_an_account(service: Service) -> None:
    pair = Pair(service).on(date(2026, 3, 12), hours=12)
    acme, globex, _ = pair.accounts
    # History and a new event in one batch: from then on, today is the last recorded day of the account.
    pair.send(
        session(acme, recorded_on="2026-03-10"),
        account_update(acme, plan="pro"),
        session(globex, recorded_on="2026-03-10"),
    )
    late = pair.send(session(acme, recorded_on="2026-03-11"), session(globex, recorded_on="2026-03-11"))
    assert late["rejected"] == [(0, "recorded_before_last")]
    assert service.differences() == []


def test_a_deleted_segment_is_still_answered_as_of_its_days(service: Service) -> None:
    pair = Pair(service).on(date(2026, 3, 10), hours=12)
    pair.define("old", equals("plan", "pro"))
    pair.send(account_update(pair.accounts[0], plan="pro"), session(pair.accounts[0], at="2026-03-09"))
    answers = pair.ask("sessions", segment=["old"])
    pair.on(date(2026, 3, 11), hours=12).define("old", None)
    assert pair.ask("sessions", segment=["old"], as_of=date(2026, 3, 10)) == answers
    assert pair.ask("sessions", group_by=["segment"]) == []


def test_a_new_segment_is_in_answers_as_of_earlier_days_only_if_it_is_named(service: Service) -> None:
    pair = Pair(service).on(date(2026, 3, 10), hours=12)
    pair.send(account_update(pair.accounts[0], plan="pro"), session(pair.accounts[0], at="2026-03-09"))
    assert pair.ask("sessions", group_by=["segment"]) == []
    pair.on(date(2026, 3, 11), hours=12).define("new", equals("plan", "pro"))
    assert pair.ask("sessions", group_by=["segment"], as_of=date(2026, 3, 10)) == []
    assert pair.ask("sessions", segment=["new"], period="2026-03", as_of=date(2026, 3, 10))[0]["value"] == 1


def stored_rows(service: Service) -> list[set[str]]:
    """Return the rows of all tables but the events, without sums of zero."""

    async def read(connection: Any) -> list[set[str]]:
        rows_by_table = []
        for table in (entry, total, grand_total, attribute):
            sums = [column for column in table.c if column.name == "value" or column.name.startswith("m0")]
            is_not_zero = sa.true() if table is attribute else sa.or_(*(column != 0 for column in sums))
            rows_by_table.append(
                {repr(tuple(row)) for row in await connection.execute(sa.select(table).where(is_not_zero))}
            )
        return rows_by_table

    return service.run(service.books.database.read(read))
