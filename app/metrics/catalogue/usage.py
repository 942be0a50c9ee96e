"""How the product is used, and by whom.

A user is a pair of account and user id, so that distinct users of accounts add up.
"""

from fractions import Fraction

from app.metrics.define import (
    Happens,
    Result,
    accounts,
    closing,
    count,
    distinct,
    flow,
    mean,
    metric,
    of_period,
    own_closing,
    own_flow,
    percentage,
    proportion,
    registered_at_any_time,
)

NO_ACTIVE_USERS = "no_active_users"
SESSION = Happens(1, "session.ended", {"duration_seconds": 600})
USE = Happens(1, "feature.used", {"feature": "export"})
REGISTERED = Happens(1, "user.registered", {}, on="2026-02-01")
# Each user is somebody else's seat.
SEATS = Happens(1, "subscription.changed", {"subscription_id": "sub-1", "mrr": "100", "seats": 5}, on="2026-01-10")


@metric(
    unit="count",
    better="up",
    adds_over=("groups",),
    example={"active_users": 2, "equals": 2},
    events=[SESSION, SESSION._replace(on="2026-03-11"), USE._replace(user="bob")],
)
def active_users(active_users: int = distinct("active_users")) -> Result:
    """Active users: distinct users with a session or a use of a feature, over the whole period."""
    return count(active_users)


@metric(
    unit="count",
    better="up",
    adds_over=("groups",),
    example={"registered_users": 2, "equals": 2},
    events=[
        REGISTERED,
        SESSION._replace(user="bob"),
        REGISTERED._replace(user="eve"),
        Happens(1, "user.removed", {}, user="eve"),
    ],
)
def registered_users(registered_users: int = closing("registered_users")) -> Result:
    """Registered users: users that were registered or active and were not removed since, at the period's end."""
    return count(registered_users)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"active_users": 1, "registered": 4, "equals": 25},
    events=[SESSION, *(REGISTERED._replace(user=user) for user in ("ada", "bob", "eve", "joe"))],
)
def customer_engagement_rate(
    active_users: int = distinct("active_users"), registered: int = registered_at_any_time()
) -> Result:
    """Customer engagement rate: active users, per hundred that were registered at any time of the period."""
    return proportion(active_users, of=registered, none="no_users")


@metric(
    unit="percent",
    better="up",
    example={"active_users": 2, "seats": 5, "equals": 40},
    events=[SEATS, SESSION, SESSION._replace(user="bob")],
)
def product_usage_rate(active_users: int = distinct("active_users"), seats: int = closing("seats")) -> Result:
    """Product usage rate: active users, per hundred seats of the subscriptions at the period's end; may exceed 100."""
    return percentage(active_users, to=seats, none="no_seats")


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"active_users_day": 3, "days": 15, "active_users": 2, "equals": 10},
    events=[SESSION, SESSION._replace(on="2026-03-11"), SESSION._replace(user="bob")],
)
def stickiness(
    active_users_day: int, days: int = of_period("days"), active_users: int = distinct("active_users")
) -> Result:
    """Stickiness: the average of a day's active users, per hundred of the period's; over the days that have passed."""
    if not active_users:
        return Result(None, 0, 0, 0, reason=NO_ACTIVE_USERS)
    daily = Fraction(active_users_day, days)
    return Result(float(100 * daily / active_users), float(daily), active_users, active_users)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"sessions": 2, "equals": 2},
    events=[Happens(2, "session.ended", {"duration_seconds": 600})],
)
def sessions(sessions: int) -> Result:
    """Sessions: sessions of users that ended."""
    return count(sessions)


@metric(
    unit="ratio",
    better="up",
    example={"sessions": 3, "active_users": 2, "equals": 1.5},
    events=[SESSION, SESSION._replace(on="2026-03-11"), SESSION._replace(user="bob")],
)
def sessions_per_active_user(sessions: int, active_users: int = distinct("active_users")) -> Result:
    """Sessions per active user: how many each active user had in the period."""
    return mean(sessions, of=active_users, none=NO_ACTIVE_USERS)


@metric(
    unit="minutes",
    better="up",
    example={"session_seconds": 2700, "sessions": 2, "equals": 22.5},
    events=[
        Happens(1, "session.ended", {"duration_seconds": 900}),
        Happens(1, "session.ended", {"duration_seconds": 1800}),
    ],
)
def average_session_minutes(session_seconds: int, sessions: int) -> Result:
    """Average session length: minutes that a session lasted."""
    return mean(session_seconds, of=sessions, none="no_sessions", unit=60)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"feature_uses": 4, "equals": 4},
    events=[
        Happens(1, "feature.used", {"feature": "export", "count": 3}),
        Happens(1, "feature.used", {"feature": "search"}),
    ],
)
def feature_uses(feature_uses: int = flow("feature_uses", any_subject="any_feature_uses")) -> Result:
    """Feature uses: how often features were used; by subject, each feature."""
    return count(feature_uses)


@metric(
    unit="minutes",
    better="up",
    example={"session_seconds": 1800, "active_users": 2, "equals": 15},
    events=[SESSION, SESSION._replace(on="2026-03-11"), SESSION._replace(user="bob")],
)
def average_time_in_app_minutes(session_seconds: int, active_users: int = distinct("active_users")) -> Result:
    """Average time in app: minutes that each active user spent in sessions in the period."""
    return mean(session_seconds, of=active_users, none=NO_ACTIVE_USERS, unit=60)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"feature_users": 1, "active_users": 4, "equals": 25},
    events=[USE, *(SESSION._replace(user=user) for user in ("bob", "eve", "joe"))],
    convention="active_users",
    counted_by="Metrickit: of those who were there, who used it?",
)
def feature_adoption_rate(
    feature_users: int = distinct("feature_users", any_subject="any_feature_users"),
    active_users: int = distinct("active_users", whole=True),
) -> Result:
    """Feature adoption rate: users of a feature, per hundred active users; by subject, each feature, else any."""
    return proportion(feature_users, of=active_users, none=NO_ACTIVE_USERS)


@feature_adoption_rate.also(
    "registered_users",
    counted_by="Calclet: of those who could use it, who did?",
    example={"feature_users": 1, "registered": 4, "equals": 25},
    events=[USE, *(REGISTERED._replace(user=user) for user in ("ada", "bob", "eve", "joe"))],
)
def _(
    feature_users: int = distinct("feature_users", any_subject="any_feature_users"),
    registered: int = registered_at_any_time(whole=True),
) -> Result:
    """Users of a feature, per hundred users that were registered at any time of the period; by subject, each feature."""
    return proportion(feature_users, of=registered, none="no_users")


@feature_adoption_rate.also(
    "accounts",
    counted_by="ZapScale: of the customers, who uses it?",
    example={"adopters": 1, "customers": 2, "equals": 50},
    events=[SEATS, USE, SEATS._replace(account="globex")],
)
def _(
    adopters: int = accounts(where=(own_flow("any_feature_uses") > 0) & (own_closing("customers") > 0)),
    customers: int = closing("customers"),
) -> Result:
    """Customers at the period's end, any of whose users used any feature in the period, per hundred; never by subject."""
    return proportion(adopters, of=customers, none="no_customers")
