"""Published examples about how the product is used, and when a day begins."""

from typing import Any

from tests.examples.define import DURING, Case, example, pays
from tests.support.service import event, session


def people(many: int, of: int) -> list[dict[str, Any]]:
    """`of` active users, of whom `many` used reports."""
    using = [event("feature.used", user=f"user-{number}", at=DURING, feature="reports") for number in range(many)]
    return using + [session(user=f"user-{number}", at=DURING) for number in range(many, of)]


ADOPTION = {"adoption-zapscale": (200, 1000, 20), "adoption-metrickit": (2400, 8000, 30)}


@example(*ADOPTION)
def users_of_a_feature_per_active_user_are_its_adoption(case: Case) -> None:
    many, of, expected = ADOPTION[case.id]
    case.send(*people(many, of))
    case.gives({"active_users": of, "registered_users": of})
    case.gives({"feature_adoption_rate": expected}, subject="reports", period="2026-02")
    case.gives({"feature_adoption_rate": expected})


@example("session-june")
def sessions_of_five_and_seven_minutes_last_six_on_average(case: Case) -> None:
    case.send(session(user="ada", seconds=5 * 60, at=DURING), session(user="bob", seconds=7 * 60, at=DURING))
    case.gives({"average_session_minutes": 6})
    case.gives({"average_time_in_app_minutes": 6})


@example("seats-polar")
def a_seat_whose_user_has_not_come_yet_is_not_used(case: Case) -> None:
    case.send(
        pays("acme", 100, seats=4),
        *(session(user=f"user-{number}", at=DURING) for number in range(3)),
        event("user.registered", user="invited", at=DURING),
    )
    case.gives({"active_users": 3, "registered_users": 4, "product_usage_rate": 75})


JANUARY = {"start": "2024-01-01", "end": "2024-01-31", "granularity": "day"}


@example("tz-paris-day-buckets", reporting_timezone="Europe/Paris")
def a_day_in_paris_begins_the_evening_before(case: Case) -> None:
    evening = "2023-12-31T23:00:00Z"
    case.send(*(session(f"shop-{number}", at=evening) for number in range(3)))
    case.gives({"sessions": [3] + [0] * 29}, **JANUARY)
    case.send(*(pays(f"shop-{number}", 10, at=evening) for number in range(3)))
    case.gives({"customers_new": [3] + [0] * 29, "customers": [3] * 30}, **JANUARY)


@example("tz-alias-accepted", reporting_timezone="Asia/Calcutta")
def an_old_name_of_a_time_zone_is_as_good_as_the_new_one(case: Case) -> None:
    case.send(
        session(at="2026-02-09T18:29:59Z"), session(at="2026-02-09T18:30:00Z"), session(at="2026-02-10T18:29:59Z")
    )
    case.gives({"sessions": [1, 2, 0]}, start="2026-02-09", end="2026-02-12", granularity="day")
