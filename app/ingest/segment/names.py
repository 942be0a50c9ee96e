"""The names of `track` calls that are those of event types: `Survey Responded` is `survey.responded`.

Each event type has one, made from its own name. Those of Segment's own specifications are added, with the names that their
properties have there. Case, blanks and signs make no difference: `survey_responded` is the same name.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import app.ingest.catalogue  # noqa: F401 - fills EVENT_TYPES
from app.ingest.define import EVENT_TYPES


class TrackName(NamedTuple):
    """A name of `track` calls. type: the event type that they become; empty for one that counts nothing.

    properties: by field of the event data, other names of the property that holds it, the first one first. defaults: of fields
    for which there is no property. reason: why the name counts nothing.
    """

    name: str
    type: str
    properties: Mapping[str, Sequence[str]] = MappingProxyType({})
    defaults: Mapping[str, str] = MappingProxyType({})
    reason: str = ""


# Segment's trials have no ids. Start and end of one have the same first day.
_TRIAL = {"trial_id": ("trial_start_date",), "plan": ("trial_plan_name",)}
_ONE_TRIAL = {"trial_id": "trial"}
_ORDER = {"amount": ("revenue", "total")}

# Of Segment's specifications for B2B SaaS and for shops.
_SPECIFIED = (
    TrackName("Account Created", "account.updated", {"name": ("account_name",)}),
    TrackName("Account Deleted", "", reason="A deleted account ends nothing by itself. Send `Subscription Canceled`."),
    TrackName("Account Added User", "user.registered"),
    TrackName("Account Removed User", "user.removed"),
    TrackName("Signed Up", "user.registered"),
    TrackName("Trial Started", "trial.started", _TRIAL, _ONE_TRIAL),
    TrackName("Trial Ended", "trial.expired", _TRIAL, _ONE_TRIAL),
    TrackName("Trial Expired", "trial.expired", _TRIAL, _ONE_TRIAL),
    TrackName("Trial Converted", "trial.converted", _TRIAL, _ONE_TRIAL),
    TrackName("Order Completed", "purchase.completed", _ORDER),
    TrackName("Order Refunded", "purchase.refunded", _ORDER),
    TrackName("Subscription Cancelled", "subscription.canceled"),
)


def _form(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _name_type(type: str) -> str:
    return type.replace(".", " ").replace("_", " ").title()


def _declare() -> dict[str, TrackName]:
    names = [*(TrackName(_name_type(type), type) for type in EVENT_TYPES), *_SPECIFIED]
    return {_form(own.name): own for own in names}


_NAMES = _declare()
# All of them, by name.
TRACK_NAMES = {own.name: own for own in sorted(_NAMES.values(), key=lambda own: own.name)}


def find_track_name(event: str) -> TrackName | None:
    """Return the declared name that the `event` of a `track` call is; None for a name of the sender's own."""
    return _NAMES.get(_form(event))
