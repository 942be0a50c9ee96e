"""Metrics of product usage: users, sessions and features.

A user belongs to one account: the same user id in two accounts is two users, so distinct users of accounts add up.
"""

from fractions import Fraction

from app.metrics.define import (
    ExampleEvent,
    Result,
    accounts,
    closing,
    context,
    count,
    distinct,
    flow,
    mean,
    metric,
    own_closing,
    own_flow,
    percentage,
    proportion,
    registered_at_any_time,
)

NO_ACTIVE_USERS = "no_active_users"
SESSION = ExampleEvent(1, "session.ended", {"duration_seconds": 600})
FEATURE_USE = ExampleEvent(1, "feature.used", {"feature": "export"})
REGISTRATION = ExampleEvent(1, "user.registered", {}, on="2026-02-01")
# A subscription with five seats.
FIVE_SEATS = ExampleEvent(
    1, "subscription.changed", {"subscription_id": "sub-1", "mrr": "100", "seats": 5}, on="2026-01-10"
)


@metric(
    unit="count",
    better="up",
    adds_over=("groups",),
    example={"active_users": 2, "equals": 2},
    events=[SESSION, SESSION._replace(on="2026-03-11"), FEATURE_USE._replace(user="bob")],
)
def active_users(active_users: int = distinct("active_users")) -> Result:
    """Active users: number of distinct users with a session or a feature use in the period.

    Each user counts once, however often active, so the days of a month do not add up to the month.
    """
    return count(active_users)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"active_users_day": 3, "equals": 3},
    events=[SESSION, SESSION._replace(on="2026-03-11"), SESSION._replace(user="bob")],
)
def active_user_days(active_users_day: int) -> Result:
    """Active user-days: the active users of each day of the period, added up.

    A user who was active on five days counts five times: it is the sum of DAU, and says how much a product is used by how many.
    Health compares it with what is usual for an account.
    """
    return count(active_users_day)


@metric(
    unit="count",
    better="up",
    adds_over=("groups",),
    example={"registered_users": 2, "equals": 2},
    events=[
        REGISTRATION,
        SESSION._replace(user="bob"),
        REGISTRATION._replace(user="eve"),
        ExampleEvent(1, "user.removed", {}, user="eve"),
    ],
)
def registered_users(registered_users: int = closing("registered_users")) -> Result:
    """Registered users: number of users registered at the end of the period.

    A user counts as registered from the first activity or from `user.registered`, whichever comes first, until
    `user.removed`.
    """
    return count(registered_users)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"active_users": 1, "registered": 4, "equals": 25},
    events=[SESSION, *(REGISTRATION._replace(user=user) for user in ("ada", "bob", "eve", "joe"))],
)
def customer_engagement_rate(
    active_users: int = distinct("active_users"), registered: int = registered_at_any_time()
) -> Result:
    """Customer engagement rate: percentage of registered users who were active in the period.

    Divides by all users who were registered at any time during the period. No value when nobody was registered.
    """
    return proportion(active_users, of=registered, if_empty="no_users")


@metric(
    unit="percent",
    better="up",
    example={"active_users": 2, "seats": 5, "equals": 40},
    events=[FIVE_SEATS, SESSION, SESSION._replace(user="bob")],
)
def product_usage_rate(active_users: int = distinct("active_users"), seats: int = closing("seats")) -> Result:
    """Product usage rate: active users in the period as a percentage of licensed seats at its end.

    Seats are those of current subscriptions. Can exceed 100%. No value when there are no seats.
    """
    return percentage(active_users, of=seats, if_empty="no_seats")


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"active_users_day": 3, "days": 15, "active_users": 2, "equals": 10},
    events=[SESSION, SESSION._replace(on="2026-03-11"), SESSION._replace(user="bob")],
)
def stickiness(
    active_users_day: int, days: int = context("days"), active_users: int = distinct("active_users")
) -> Result:
    """Stickiness: average daily active users as a percentage of the period's active users (DAU/MAU for a month).

    In a period that has not ended, only the days up to today count. No value when nobody was active.
    """
    if not active_users:
        return Result(None, 0, 0, 0, reason=NO_ACTIVE_USERS)
    daily = Fraction(active_users_day, days)
    return Result(float(100 * daily / active_users), float(daily), active_users, active_users)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"sessions": 2, "equals": 2},
    events=[ExampleEvent(2, "session.ended", {"duration_seconds": 600})],
)
def sessions(sessions: int) -> Result:
    """Sessions: number of user sessions that ended in the period."""
    return count(sessions)


@metric(
    unit="ratio",
    better="up",
    example={"sessions": 3, "active_users": 2, "equals": 1.5},
    events=[SESSION, SESSION._replace(on="2026-03-11"), SESSION._replace(user="bob")],
)
def sessions_per_active_user(sessions: int, active_users: int = distinct("active_users")) -> Result:
    """Sessions per active user: average number of sessions per active user in the period.

    Users who only used features, without a session, count as active. No value when nobody was active.
    """
    return mean(sessions, of=active_users, if_empty=NO_ACTIVE_USERS)


@metric(
    unit="minutes",
    better="up",
    example={"session_seconds": 2700, "sessions": 2, "equals": 22.5},
    events=[
        ExampleEvent(1, "session.ended", {"duration_seconds": 900}),
        ExampleEvent(1, "session.ended", {"duration_seconds": 1800}),
    ],
)
def average_session_minutes(session_seconds: int, sessions: int) -> Result:
    """Average session length: average minutes per session, for sessions that ended in the period.

    No value when there were no sessions.
    """
    return mean(session_seconds, of=sessions, if_empty="no_sessions", unit=60)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"feature_uses": 4, "equals": 4},
    events=[
        ExampleEvent(1, "feature.used", {"feature": "export", "count": 3}),
        ExampleEvent(1, "feature.used", {"feature": "search"}),
    ],
)
def feature_uses(feature_uses: int = flow("feature_uses", any_subject="any_feature_uses")) -> Result:
    """Feature uses: number of times features were used in the period. Can be broken down by feature."""
    return count(feature_uses)


@metric(
    unit="minutes",
    better="up",
    example={"session_seconds": 1800, "active_users": 2, "equals": 15},
    events=[SESSION, SESSION._replace(on="2026-03-11"), SESSION._replace(user="bob")],
)
def average_time_in_app_minutes(session_seconds: int, active_users: int = distinct("active_users")) -> Result:
    """Average time in app: average minutes that an active user spent in sessions in the period.

    All sessions of a user are added up. Users who only used features, without a session, count as active. No value when
    nobody was active.
    """
    return mean(session_seconds, of=active_users, if_empty=NO_ACTIVE_USERS, unit=60)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"feature_users": 1, "active_users": 4, "equals": 25},
    events=[FEATURE_USE, *(SESSION._replace(user=user) for user in ("bob", "eve", "joe"))],
    convention="active_users",
    counted_by="Metrickit, which divides by the users who were active in the period.",
)
def feature_adoption_rate(
    feature_users: int = distinct("feature_users", any_subject="any_feature_users"),
    active_users: int = distinct("active_users", ignores_dimensions=True),
) -> Result:
    """Feature adoption rate: percentage of active users who used the feature in the period.

    Without a breakdown by feature: any feature. No value when nobody was active.
    """
    return proportion(feature_users, of=active_users, if_empty=NO_ACTIVE_USERS)


@feature_adoption_rate.also(
    "registered_users",
    counted_by="Calclet, which divides by all users who could have used the feature.",
    example={"feature_users": 1, "registered": 4, "equals": 25},
    events=[FEATURE_USE, *(REGISTRATION._replace(user=user) for user in ("ada", "bob", "eve", "joe"))],
)
def _(
    feature_users: int = distinct("feature_users", any_subject="any_feature_users"),
    registered: int = registered_at_any_time(ignores_dimensions=True),
) -> Result:
    """Percentage of registered users who used the feature in the period.

    Divides by all users who were registered at any time during the period. Without a breakdown by feature: any feature.
    No value when nobody was registered.
    """
    return proportion(feature_users, of=registered, if_empty="no_users")


@feature_adoption_rate.also(
    "accounts",
    counted_by="ZapScale, which counts customers instead of users.",
    example={"adopters": 1, "customers": 2, "equals": 50},
    events=[FIVE_SEATS, FEATURE_USE, FIVE_SEATS._replace(account="globex")],
)
def _(
    adopters: int = accounts(
        "Customers at the end of the {period} with at least one user who used any feature during it.",
        where=(own_flow("any_feature_uses") > 0) & (own_closing("customers") > 0),
    ),
    customers: int = closing("customers"),
) -> Result:
    """Percentage of customers at the end of the period with at least one user who used any feature during it.

    Cannot be broken down by feature. No value when there are no customers.
    """
    return proportion(adopters, of=customers, if_empty="no_customers")
