"""The request bodies of PUT: accounts, surveys and exchange rates."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from app.core.errors import Invalid
from app.core.ids import Id
from app.core.names import Fault, build_fault
from app.core.periods import Day
from app.http.openapi import list_schema, map_schema, object_schema, response_schema
from app.ingest.fields import WHOLE, Attributes, Text, Time
from app.ledger.surveys import MAX_SCORE, NPS_SCALES, Survey, default_satisfied_from

# What /docs sends by "Try it out".
EXAMPLE_ACCOUNT = {"name": "Acme Ltd", "attributes": {"plan": "enterprise", "region": "emea", "seats": 40}}
EXAMPLE_SURVEY = {"kind": "csat", "scale": {"min": 1, "max": 5}, "question": "How satisfied are you with our support?"}
EXAMPLE_RATES = {"currency": "GBP", "rates": {"2026-01-01": "1.2734"}}

ACCOUNT_UPDATE_SCHEMA = response_schema(
    "The account was updated.",
    object_schema(
        "AccountUpdate", {"id": {"type": "string"}, "effective_at": {"type": "string", "format": "date-time"}}
    ),
)
RATES_SCHEMA = response_schema(
    "The exchange rates.",
    object_schema(
        "ExchangeRateList",
        {
            "base_currency": {"type": "string"},
            "exchange_rates": list_schema(
                "CurrencyRates",
                {
                    "currency": {"type": "string"},
                    "rates": map_schema(
                        "RatesByDay", {"type": "string", "format": "decimal"}, description="By the first day."
                    ),
                },
            ),
        },
    ),
)


class AccountBody(BaseModel):
    """What is true of an account from `effective_at` (default: now) on; null ends an attribute.

    It counts from the first day that begins at that time or later. The first value of an attribute also holds before that.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Id | None = None
    attributes: Attributes = Field(default_factory=dict)
    effective_at: Time | None = None

    def to_event_data(self) -> dict[str, Any]:
        """Return the data of the `account.updated` event."""
        data: dict[str, Any] = {"attributes": self.attributes} if self.attributes else {}
        return data | ({"name": self.name} if self.name is not None else {})


class Scale(BaseModel):
    """The lowest and the highest score, whole numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)

    min: Annotated[int, Field(ge=0, le=MAX_SCORE), WHOLE]
    max: Annotated[int, Field(ge=1, le=MAX_SCORE), WHOLE]


class SurveyBody(BaseModel):
    """How the scores of a survey are read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["nps", "csat", "ces"]
    scale: Scale
    satisfied_from: Annotated[int, WHOLE] | None = Field(
        None, description="csat only: the lowest score that means satisfied."
    )
    easy_is: Literal["low", "high"] | None = Field(
        None, description="ces only, and required there: which end of the scale means easy."
    )
    question: Text | None = None


def to_survey(id: str, body: SurveyBody) -> Survey:
    """Return the survey that a body declares, without responses yet. Raises Invalid where its fields contradict each other."""
    if faults := [*_survey_faults(body)]:
        raise Invalid.of(faults, subject="The survey", code="invalid")
    low, high = body.scale.min, body.scale.max
    satisfied_from = body.satisfied_from
    if body.kind == "csat" and satisfied_from is None:
        satisfied_from = default_satisfied_from(low, high)
    return Survey(id, body.kind, low, high, satisfied_from, body.easy_is, body.question, answered=False)


def _survey_faults(body: SurveyBody) -> Iterator[Fault]:
    low, high = body.scale.min, body.scale.max
    if low >= high:
        detail = '"max" must be more than "min", the lowest score.'
        yield build_fault("/scale/max", detail, code="scale")
    elif body.kind == "nps" and (low, high) not in NPS_SCALES:
        detail = "The scale of an nps survey must be 0 to 10 or 1 to 10. Use the kind csat for other scales."
        yield build_fault("/scale", detail, code="scale")
    if body.kind == "ces" and body.easy_is is None:
        detail = 'A ces survey needs "easy_is": which end of its scale means easy, "low" or "high".'
        yield build_fault("/easy_is", detail, code="missing")
    if body.kind != "ces" and body.easy_is is not None:
        detail = 'Only a ces survey has "easy_is". Leave it out.'
        yield build_fault("/easy_is", detail, code="other_kind")
    if body.satisfied_from is None:
        return
    if body.kind != "csat":
        detail = 'Only a csat survey has "satisfied_from". Leave it out.'
        yield build_fault("/satisfied_from", detail, code="other_kind")
    elif low < high and not low < body.satisfied_from <= high:
        detail = f'"satisfied_from" must be from {low + 1} to {high}: on the scale, above its lowest score.'
        yield build_fault("/satisfied_from", detail, code="scale")


def _parse_rate(raw: Any) -> Decimal:
    if isinstance(raw, str | int | float | Decimal) and not isinstance(raw, bool):
        text = str(raw)
        digits = text.replace(".", "", 1)
        if len(text) <= 20 and digits.isascii() and digits.isdigit():
            rate = Decimal(text)
            if Decimal("0.00000001") <= rate <= 1_000_000_000:
                return rate
    detail = 'A rate must be a decimal string such as "1.0832", above zero and at most a billion.'
    raise PydanticCustomError("rate", detail)


class RatesBody(BaseModel):
    """What one unit of a currency is worth in the base currency, from each day on."""

    model_config = ConfigDict(extra="forbid")

    currency: str = Field(pattern="^[A-Z]{3}$")
    rates: dict[Day, Annotated[Decimal, PlainValidator(_parse_rate, json_schema_input_type=str)]] = Field(
        min_length=1, max_length=10_000
    )
