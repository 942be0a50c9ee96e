"""How the product is used."""

from app.metrics.define import Result, count, mean, metric


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"sessions": 2, "equals": 2},
    events=[(2, "session.ended", {"duration_seconds": 600})],
)
def sessions(sessions: int) -> Result:
    """Sessions: sessions of users that ended."""
    return count(sessions)


@metric(
    unit="minutes",
    better="up",
    example={"session_seconds": 2700, "sessions": 2, "equals": 22.5},
    events=[(1, "session.ended", {"duration_seconds": 900}), (1, "session.ended", {"duration_seconds": 1800})],
)
def average_session_minutes(session_seconds: int, sessions: int) -> Result:
    """Average session length: minutes that a session lasted."""
    return mean(session_seconds, of=sessions, none="no_sessions", unit=60)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"feature_uses": 4, "equals": 4},
    events=[(1, "feature.used", {"feature": "export", "count": 3}), (1, "feature.used", {"feature": "search"})],
)
def feature_uses(feature_uses: int) -> Result:
    """Feature uses: how often features were used; by subject, each feature."""
    return count(feature_uses)
