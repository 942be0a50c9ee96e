"""Event types about the health of accounts."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import WHOLE, DayText, Id, Text


@event(
    "health.overridden",
    example={"score": 25, "reason": "Their sponsor has left.", "author": "grace", "expires_on": "2026-06-30"},
)
class HealthOverridden(Data):
    """Someone who knows the account says what its health is.

    The override stands beside the computed score until it expires, is withdrawn or another one takes its place; it never
    replaces the score and counts in no metric. Of overrides at the same instant, the one with the larger id stands.
    """

    score: Annotated[
        int, Field(ge=0, le=100, description="The score that they give it: a whole number from 0 to 100."), WHOLE
    ]
    reason: Annotated[Text, Field(min_length=1, description="Why, at most 10,000 characters.")]
    author: Annotated[Id, Field(description="Who says so. Erased with the personal data of the user of that id.")]
    expires_on: NotRequired[
        Annotated[DayText, Field(description="The last day on which it stands. Default: until it is withdrawn.")]
    ]


@event("health.override_withdrawn", rank=1, example={"author": "grace", "reason": "The new sponsor is as committed."})
class HealthOverrideWithdrawn(Data):
    """The override of an account's health no longer stands.

    At the same instant, it comes after the override. Without an override it changes nothing.
    """

    author: NotRequired[Annotated[Id, Field(description="Who withdraws it. Erased as that of the override.")]]
    reason: NotRequired[Annotated[Text, Field(description="Why, at most 10,000 characters.")]]
