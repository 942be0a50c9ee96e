"""CloudEvents as their own library writes them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from tests.support.service import Service

FORMAT = JSONFormat()


def answer_of_a_survey(id: str, comment: str = "Schön, 100 %") -> CloudEvent:
    attributes = {
        "id": id,
        "source": "/surveys/nps",
        "type": "survey.responded",
        "subject": "Zürich & Söhne",
        "time": datetime(2026, 3, 10, 12, 0, tzinfo=UTC),
        "datacontenttype": "application/json",
        "userid": "ada",
    }
    return CloudEvent(attributes, {"survey": "nps", "score": 9, "comment": comment})


def post(service: Service, message: HTTPMessage) -> dict[str, Any]:
    answer = service.request("POST", "/v1/events", content=message.body, headers=dict(message.headers))
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


@pytest.mark.parametrize("write", [to_structured, to_binary])
def test_an_event_of_the_library_is_counted_with_all_that_it_says(
    service: Service, write: Callable[..., HTTPMessage]
) -> None:
    assert post(service, write(answer_of_a_survey("1"), FORMAT)) == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert service.row("nps", account="Zürich & Söhne")["sample_size"] == 1
    [comment] = service.get("/v1/feedback")["feedback"]
    assert (comment["comment"], comment["user_id"]) == ("Schön, 100 %", "ada")


def test_the_same_event_in_both_modes_is_one_event(service: Service) -> None:
    post(service, to_binary(answer_of_a_survey("1"), FORMAT))
    assert post(service, to_structured(answer_of_a_survey("1"), FORMAT))["duplicates"] == 1
    rejected = service.request("POST", "/v1/events", **as_request(to_binary(answer_of_a_survey("1", "No."), FORMAT)))
    assert rejected.json()["rejected"][0]["code"] == "conflict"
    assert service.row("nps")["sample_size"] == 1


def as_request(message: HTTPMessage) -> dict[str, Any]:
    return {"content": message.body, "headers": dict(message.headers)}
