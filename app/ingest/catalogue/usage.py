"""Event types about what users do in the product."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id
from app.ledger.measures import Activity, EventView, Line, measure, presence

# The longest duration that is plausible: 31 days.
_MAX_SESSION_SECONDS = 31 * 86_400

active_users = presence("active_users", "Distinct users who were active.", days=True)
sessions = measure("sessions", "Sessions that ended.")
session_seconds = measure("session_seconds", "Total duration of sessions in seconds.")


@event(
    "session.ended",
    user=True,
    example={"duration_seconds": 1260},
    posts=lambda e: [Line(sessions, 1), Line(session_seconds, e.data["duration_seconds"])],
    sees=lambda e: [Activity(active_users)],
)
class SessionEnded(Data):
    """A user's session in the product ended.

    Counts one session and its duration (`sessions`, `average_session_minutes`), and the user as active on that day
    (`active_users`, `stickiness`). An active user counts as registered from that day on.
    """

    duration_seconds: Annotated[
        int,
        Field(ge=0, le=_MAX_SESSION_SECONDS, description="Duration in whole seconds, 0–2,678,400 (31 days)."),
    ]


feature_uses = measure("feature_uses", "Times a feature was used.", subject="feature")
# There may be many features. Questions about any feature should not have to add up all of them.
any_feature_uses = measure("any_feature_uses", "Times any feature was used.")
# Features are hardly ever asked for by day or week.
_UNITS = ("month", "quarter", "year")
feature_users = presence("feature_users", "Distinct users who used a feature.", subject="feature", units=_UNITS)
any_feature_users = presence("any_feature_users", "Distinct users who used any feature.", units=_UNITS)


def _use_lines(e: EventView) -> list[Line]:
    times = e.data.get("count", 1)
    return [Line(feature_uses, times, e.data["feature"]), Line(any_feature_uses, times)]


@event(
    "feature.used",
    user=True,
    example={"feature": "export", "count": 3},
    posts=_use_lines,
    sees=lambda e: [Activity(active_users), Activity(any_feature_users), Activity(feature_users, e.data["feature"])],
)
class FeatureUsed(Data):
    """A user used a feature, once or `count` times.

    Counts the uses (`feature_uses`), and the user as a user of the feature and as active on that day (`feature_adoption_rate`,
    `active_users`). An active user counts as registered from that day on.
    """

    feature: Annotated[
        Id, Field(description="Name of the feature, such as `export`. Usage can be broken down by feature (`subject`).")
    ]
    count: NotRequired[
        Annotated[
            int,
            Field(ge=1, le=1_000_000_000, description="How many times it was used, 1–1,000,000,000. Default: 1."),
        ]
    ]
