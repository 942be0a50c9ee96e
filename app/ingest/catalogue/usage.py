"""What users do in the product."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id
from app.ledger.measures import Activity, EventView, Line, measure, presence

# A month is the longest that a session is believed to last.
_LONGEST_SESSION = 31 * 86_400
active_users = presence("active_users", "Users by the first day in a {unit} on which they were active.", days=True)
sessions = measure("sessions", "Sessions that ended.")
session_seconds = measure("session_seconds", "Seconds that sessions lasted.")


@event(
    "session.ended",
    user=True,
    example={"duration_seconds": 1260},
    posts=lambda e: [Line(sessions, 1), Line(session_seconds, e.data["duration_seconds"])],
    sees=lambda e: [Activity(active_users)],
)
class SessionEnded(Data):
    """A user's session in the product has ended."""

    duration_seconds: Annotated[int, Field(ge=0, le=_LONGEST_SESSION)]


feature_uses = measure("feature_uses", "Times a feature was used.", subject="feature")
# Features are many: what is asked of all of them is not to be added up over each.
any_feature_uses = measure("any_feature_uses", "Times any feature was used.")
# Features are hardly ever asked for by days or weeks.
_UNITS = ("month", "quarter", "year")
feature_users = presence(
    "feature_users",
    "Users of a feature by the first day in a {unit} on which they used it.",
    subject="feature",
    units=_UNITS,
)
any_feature_users = presence(
    "any_feature_users", "Users by the first day in a {unit} on which they used any feature.", units=_UNITS
)


def _uses(e: EventView) -> list[Line]:
    times = e.data.get("count", 1)
    return [Line(feature_uses, times, e.data["feature"]), Line(any_feature_uses, times)]


@event(
    "feature.used",
    user=True,
    example={"feature": "export", "count": 3},
    posts=_uses,
    sees=lambda e: [Activity(active_users), Activity(any_feature_users), Activity(feature_users, e.data["feature"])],
)
class FeatureUsed(Data):
    """A user used a feature, once or `count` times."""

    feature: Id
    count: NotRequired[Annotated[int, Field(ge=1, le=1_000_000_000)]]
