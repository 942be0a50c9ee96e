"""Typeform: answers to surveys."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.core.ids import Id
from app.inbound.define import Context, Part, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import Hmac
from app.ingest.payload import Fields, Ignored

_TEXTS = ("long_text", "short_text")


class TypeformOptions(BaseModel):
    """Which questions are surveys."""

    model_config = ConfigDict(extra="forbid", strict=True)

    surveys: Annotated[dict[Id, Id], Field(max_length=50)] = Field(
        default_factory=dict,
        description="The survey of a question, by the id or the reference of its field. Default: a question of the type `nps` is "
        "`nps`.",
    )


@vendor(
    title="Typeform",
    scheme=Hmac("Typeform-Signature", encoding="base64", prefix="sha256="),
    documentation="https://www.typeform.com/developers/webhooks/",
    options=TypeformOptions,
    mapping=PersonMapping,
    find_id=lambda payload, headers: Fields(payload).find_text("event_id"),
    becomes=(("a number as an answer to a question of a survey", "`survey.responded`"),),
    example_options={"surveys": {"satisfaction": "csat"}},
    example={
        "event_id": "01HEXAMPLE",
        "event_type": "form_response",
        "form_response": {
            "form_id": "lT4Z3j",
            "token": "a3a12ec67a1365927098a606107fac15",
            "submitted_at": "2026-03-14T10:00:00Z",
            "hidden": {"account_id": "acme", "user_id": "ada"},
            "answers": [
                {"type": "number", "number": 9, "field": {"id": "f1", "ref": "recommend", "type": "nps"}},
                {"type": "text", "text": "Fast help.", "field": {"id": "f2", "ref": "why", "type": "long_text"}},
            ],
        },
    },
)
def typeform(payload: Any, context: Context) -> Iterator[Part]:
    """Account and user are the hidden fields `account_id` and `user_id` of the form: put them into its link. The first text of
    the response is the comment of its first survey.
    """
    event = Fields(payload)
    if event.find("event_type") != "form_response":
        yield Ignored("Only responses are counted.")
        return
    response = event.object("form_response")
    answers = list(response.objects("answers"))
    texts = [own.find_text("text") for own in answers if own.find("field", "type") in _TEXTS]
    comment = next((text for text in texts if text), None)
    account = context.account(event, response, response.find_text("hidden", "account_id"))
    user = context.user(event, response, response.find_text("hidden", "user_id"))
    count = 0
    for answer in answers:
        if (survey := _find_survey(answer, context.options)) is None:
            continue
        yield context.event(
            "survey.responded",
            id=f"{response.text('token')}:{answer.text('field', 'id')}",
            account=account,
            user=user,
            at=response.time("submitted_at"),
            data={
                "survey": survey,
                "score": answer.whole_number("number"),
                "comment": None if count else comment,
                "channel": "typeform",
            },
        )
        count += 1
    if not count:
        yield Ignored("No question of the form is a survey. Name it in the option `surveys`.")


def _find_survey(answer: Fields, options: TypeformOptions) -> str | None:
    names = [answer.find_text("field", name) or "" for name in ("ref", "id")]
    default = "nps" if answer.find("field", "type") == "nps" else None
    return next((options.surveys[name] for name in names if name in options.surveys), default)
