"""Random comparisons: `previous` is what the same question about the earlier days alone answers.

Which days these are is computed by the model, which shares no code with the service. `make campaign` asks 2,000 questions.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest

from tests.model.calendar import DAY, Calendar
from tests.model.comparison import Period, days_before_row, days_before_total, units_of_total
from tests.model.facts import Span
from tests.model.generators import equals, less_than, random_events, random_question
from tests.model.pair import Pair, query_service
from tests.support.campaign import examples
from tests.support.service import Service, event, session

USAGE = ("sessions", "average_session_minutes", "active_users", "feature_uses")
UNITS = ("day", "week", "month", "quarter", "year")
NAMES = [
    "today", "yesterday", "last_30_days", "last_7_days", "last_6_weeks", "last_5_months", "last_2_quarters", "last_1_years",
    *(f"{word}_{unit}" for word in ("this", "last") for unit in UNITS[1:]),
    *[f"{unit}_to_date" for unit in UNITS[1:]] * 3,
]  # fmt: skip
# Zone, first month of the fiscal year, first day of the week, and the day on which the questions are asked.
CALENDARS = [
    ("UTC", 1, "monday", date(2024, 3, 30)),
    ("UTC", 1, "sunday", date(2025, 2, 28)),
    ("America/New_York", 4, "sunday", date(2024, 2, 29)),
    ("Pacific/Kiritimati", 12, "monday", date(2026, 3, 31)),
    ("Asia/Kolkata", 2, "sunday", date(2025, 12, 31)),
]


@pytest.mark.parametrize(("zone", "fiscal_year_start", "week_start", "last_day"), CALENDARS)
def test_the_previous_value_is_that_of_the_earlier_days_alone(
    start_service: Callable[..., Service], zone: str, fiscal_year_start: int, week_start: str, last_day: date
) -> None:
    service = start_service(reporting_timezone=zone, fiscal_year_start=fiscal_year_start, week_start=week_start)
    random = Random(f"{zone} {last_day}")
    pair = Pair(service, Calendar(zone, fiscal_year_start, week_start))
    pair.define("paying", equals("plan", "pro"))
    pair.define("small", less_than("seats", 10))
    for age in range(450, -1, -10):
        pair.on(last_day - DAY * age, hours=20).send(*random_events(random, pair, 12), *daily_use(random, pair))
    compared: list[int] = []
    # Many random questions have no earlier data: ask until enough values have been compared.
    while len(compared) < examples(8) or (sum(compared) <= 10 and len(compared) < 80):
        today = last_day + DAY * random.choice([0, 0, 0, 1, 2, 15])
        compared.append(check_comparison(random, pair.on(today, hours=21)))
    assert sum(compared) > 10


def daily_use(random: Random, pair: Pair) -> Iterator[dict[str, Any]]:
    """Yield a session and a use of a feature on each of the last ten days, so that each day more or less shows."""
    for day in (pair.today - DAY * age for age in range(10)):
        at = (pair.model.calendar.midnight(day) + timedelta(hours=random.randrange(1, 20))).isoformat()
        account, user = random.choice(pair.accounts), random.choice(["ada", "grace", "linus"])
        yield session(account, user=user, seconds=random.randrange(3600), at=at)
        feature, count = random.choice(["export", "search"]), random.randint(1, 99)
        yield event("feature.used", account, user=user, feature=feature, count=count, at=at)


def comparison(random: Random, pair: Pair) -> dict[str, Any]:
    """Return any question with a comparison: of any metrics and groups, over any days."""
    question = {
        key: value for key, value in random_question(random, pair).items() if key not in ("start", "end", "period")
    }
    if "channel" not in question and "channel" not in question["group_by"]:
        usage = ["feature_uses"] if "subject" in question or "subject" in question["group_by"] else USAGE
        question["metrics"] = ",".join(dict.fromkeys([*question["metrics"].split(","), *usage]))
    question |= {"account": pair.accounts, "compare": random.choice(["previous_period", "previous_year"])}
    question |= {"totals": bool(random.randrange(4))}
    question |= {"as_of": random.choice([None, None, pair.today, pair.today - DAY * random.randrange(70)])}
    if not random.randrange(5) and len(question["group_by"]) < 3:
        question["segment"] = ["paying", "small"]
    if random.randrange(2):
        return question | {"period": random.choice(NAMES)}
    known = question["as_of"] or pair.today
    first = known - DAY * random.randrange(-20, 200)
    if random.randrange(2):
        first = pair.model.calendar.unit_start(first, random.choice(UNITS))
    end = first + DAY * random.choice([1, 7, 28, random.randint(1, 100)])
    if not random.randrange(3):
        end = pair.model.calendar.unit_end(end - DAY, random.choice(UNITS))
    if not random.randrange(4):
        end = max(first, known) + DAY
    return question | {"start": first, "end": end}


def check_comparison(random: Random, pair: Pair) -> int:
    """Ask a question; check some periods of the answer and its total. Return the number of values other than 0."""
    question = comparison(random, pair)
    rows = query_service(pair.service, **question)
    periods = sorted({(row["period"], row["start"], row["end"]) for row in rows})
    totals = [period for period in periods if period[0] == "total"]
    # The edges of the range, and any periods between them.
    chosen = {*periods[:1], *periods[-1:], *totals, *random.sample(periods, min(len(periods), 2))}
    rest = {key: value for key, value in question.items() if key not in ("start", "end", "period", "compare", "totals")}
    compared = 0
    for name, first, end in chosen:
        own = [row for row in rows if (row["period"], row["start"]) == (name, first)]
        earlier = earlier_days(
            pair, question, Period(name, date.fromisoformat(first), date.fromisoformat(end)), periods
        )
        if earlier is None:
            assert {row["previous"] for row in own} == {None}, question
            continue
        span = {"start": earlier.start, "end": earlier.end, "granularity": "total"}
        answer = query_service(pair.service, **rest | span)
        values = {key(row): row["value"] for row in answer}
        for row in own:
            # A group without data in the earlier days has no row there.
            expected = (values[key(row)],) if key(row) in values else (0, None)
            assert row["previous"] in expected, (question, row, span)
            compared += bool(row["previous"])
    return compared


def key(row: dict[str, Any]) -> Any:
    return row["metric"], row["convention"], repr(row["group"])


def earlier_days(pair: Pair, question: dict[str, Any], period: Period, periods: list[Any]) -> Span | None:
    """Return the days with which a period or total is compared, by the model."""
    calendar, known = pair.model.calendar, question["as_of"] or pair.today
    rule: dict[str, Any] = {"compare": question["compare"], "calendar": calendar, "as_of": known}
    granularity = question["granularity"]
    is_only_row = granularity != "total" and len({start for name, start, _ in periods if name != "total"}) == 1
    if period.name != "total" or is_only_row:
        return days_before_row(period, granularity, **rule)
    units = units_of_total(period, question.get("period"), calendar=calendar, as_of=known)
    return days_before_total(period, units, **rule)
