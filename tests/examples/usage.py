"""Published examples about product usage and about the start of a day."""

from typing import Any

from tests.examples.define import FEBRUARY_10, Case, example, subscription
from tests.support.service import event, session


def feature_users(count: int, of: int) -> list[dict[str, Any]]:
    """Return the events of `of` active users, of whom `count` used reports."""
    using = [event("feature.used", user=f"user-{number}", at=FEBRUARY_10, feature="reports") for number in range(count)]
    return using + [session(user=f"user-{number}", at=FEBRUARY_10) for number in range(count, of)]


ADOPTION = {"adoption-zapscale": (200, 1000, 20), "adoption-metrickit": (2400, 8000, 30)}


@example(*ADOPTION)
def adoption_is_the_share_of_active_users_who_used_the_feature(case: Case) -> None:
    count, of, expected = ADOPTION[case.id]
    case.send(*feature_users(count, of))
    case.expect({"active_users": of, "registered_users": of})
    case.expect({"feature_adoption_rate": expected}, subject="reports", period="2026-02")
    case.expect({"feature_adoption_rate": expected})


@example("session-june")
def sessions_of_five_and_seven_minutes_last_six_on_average(case: Case) -> None:
    case.send(session(user="ada", seconds=5 * 60, at=FEBRUARY_10), session(user="bob", seconds=7 * 60, at=FEBRUARY_10))
    case.expect({"average_session_minutes": 6})
    case.expect({"average_time_in_app_minutes": 6})


@example("seats-polar")
def a_seat_of_an_inactive_user_is_not_used(case: Case) -> None:
    case.send(
        subscription("acme", 100, seats=4),
        *(session(user=f"user-{number}", at=FEBRUARY_10) for number in range(3)),
        event("user.registered", user="invited", at=FEBRUARY_10),
    )
    case.expect({"active_users": 3, "registered_users": 4, "product_usage_rate": 75})


JANUARY = {"start": "2024-01-01", "end": "2024-01-31", "granularity": "day"}


@example("tz-paris-day-buckets", reporting_timezone="Europe/Paris")
def a_day_in_paris_begins_the_evening_before(case: Case) -> None:
    evening = "2023-12-31T23:00:00Z"
    case.send(*(session(f"shop-{number}", at=evening) for number in range(3)))
    case.expect({"sessions": [3] + [0] * 29}, **JANUARY)
    case.send(*(subscription(f"shop-{number}", 10, at=evening) for number in range(3)))
    case.expect({"customers_new": [3] + [0] * 29, "customers": [3] * 30}, **JANUARY)


@example("tz-alias-accepted", reporting_timezone="Asia/Calcutta")
def an_old_name_of_a_time_zone_is_accepted(case: Case) -> None:
    case.send(
        session(at="2026-02-09T18:29:59Z"), session(at="2026-02-09T18:30:00Z"), session(at="2026-02-10T18:29:59Z")
    )
    case.expect({"sessions": [1, 2, 0]}, start="2026-02-09", end="2026-02-12", granularity="day")
