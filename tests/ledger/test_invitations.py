"""Invitations to surveys, and to which of them the responses belong: a pure function, its sequences, and the response rate."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.database.connection import Connection
from app.ledger.sequences import load_neighbors
from app.ledger.stream_diff import StreamChange
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.invitations import invitations
from tests.model.calendar import DAY
from tests.model.pair import Pair
from tests.model.stream_events import postings_by_measure, stream_event
from tests.support.service import Service, event

RATE, BY_INVITATION = "survey_response_rate", {"convention": "by_invitation"}


def parse_event(text: str) -> StreamEvent:
    """Return the event of a text such as `sent 03-01` or `responded 03-02T08:00`."""
    type, at = text.split()
    return stream_event(f"survey.{type}", f"2026-{at}", id=text, survey="nps")


# Events -> on which days the invitations were sent that were answered.
CASES = {
    "an invitation without a response": ("sent 03-01", {}),
    "a response without an invitation": ("responded 03-01", {}),
    "a response before the invitation": ("responded 03-01, sent 03-02", {}),
    "a response to an invitation counts on the day of the invitation": (
        "sent 03-01, responded 04-09",
        {"2026-03-01": 1},
    ),
    "several responses to one invitation": ("sent 03-01, responded 03-02, responded 03-03", {"2026-03-01": 1}),
    "a reminder is an invitation of its own": ("sent 03-01, sent 03-05, responded 03-06", {"2026-03-05": 1}),
    "each invitation has its response": (
        "sent 03-01, responded 03-02, sent 04-01, responded 04-02",
        {"2026-03-01": 1, "2026-04-01": 1},
    ),
    "at the same instant, the invitation comes first": ("responded 03-01T08:00, sent 03-01T08:00", {"2026-03-01": 1}),
    "two invitations of one day": (
        "sent 03-01T08:00, responded 03-01T09:00, sent 03-01T10:00, responded 03-02",
        {"2026-03-01": 2},
    ),
}


@pytest.mark.parametrize(("events", "expected"), CASES.values(), ids=CASES)
def test_a_response_belongs_to_the_latest_invitation_before_it(events: str, expected: dict[str, int]) -> None:
    for order in permutations(events.split(", ")):
        posted = postings_by_measure(invitations, *map(parse_event, order))
        assert posted.get("survey_invitations_answered", {}) == expected


def sent(at: str, **data: Any) -> dict[str, Any]:
    return event("survey.sent", at=at, **({"survey": "nps"} | data))


def response(at: str, **data: Any) -> dict[str, Any]:
    return event("survey.responded", at=at, **({"survey": "nps", "score": 9} | data))


def proof(service: Service, **question: Any) -> tuple[Any, ...]:
    """Return value, numerator and denominator of the response rate by invitation."""
    row = service.row(RATE, **BY_INVITATION | question)
    return row["value"], row["numerator"], row["denominator"]


def test_a_response_rate_by_invitation_never_exceeds_a_hundred_percent(service: Service) -> None:
    service.send(sent("2026-03-01", user="ada"), sent("2026-03-01", user="bob"), sent("2026-02-27", user="eve"))
    service.send(
        # Two responses to one invitation, one to an invitation of February, and two to none.
        response("2026-03-02", user="ada"),
        response("2026-03-03", user="ada"),
        response("2026-03-04", user="eve"),
        response("2026-03-04", user="joe"),
        response("2026-03-05"),
    )
    assert service.value(RATE) == service.value(RATE, convention="by_response") == 250
    assert proof(service) == (50, 1, 2)
    assert proof(service, period="2026-02") == (100, 1, 1)
    row = service.row(RATE, **BY_INVITATION)
    assert row["interval"][0] < 50 < row["interval"][1]
    empty = service.row(RATE, period="2026-01", **BY_INVITATION)
    assert (empty["value"], empty["reason"]) == (None, "no_invitations")
    assert service.differences() == []


def test_a_response_belongs_to_an_invitation_of_the_same_survey_account_and_user(service: Service) -> None:
    service.send(sent("2026-03-01", user="ada"), sent("2026-03-01"), sent("2026-03-01", survey="csat", user="ada"))
    service.send(
        response("2026-03-02", user="bob"),
        response("2026-03-02", user="ada") | {"account_id": "globex"},
        response("2026-03-02", survey="csat", score=5),
    )
    assert proof(service) == (0, 0, 3)
    service.send(response("2026-03-03"))
    assert proof(service) == (pytest.approx(100 / 3, abs=1e-6), 1, 3)
    service.send(response("2026-03-03", user="ada"), response("2026-03-03", user="ada", survey="csat", score=5))
    assert proof(service) == (100, 3, 3)
    by_survey = service.rows(RATE, period="2026-03", group_by="subject", **BY_INVITATION)
    assert {row["group"]["subject"]: row["denominator"] for row in by_survey} == {"csat": 1, "nps": 2}


def test_the_response_rate_by_invitation_has_the_channel_of_the_invitation(service: Service) -> None:
    service.send(
        sent("2026-03-01", user="ada", channel="email"),
        sent("2026-03-01", user="bob", channel="in-app"),
        response("2026-03-02", user="ada", channel="in-app"),
        response("2026-03-02", user="bob"),
        response("2026-03-02", user="eve", channel="email"),
    )
    by_channel = service.rows(RATE, period="2026-03", group_by="channel", **BY_INVITATION)
    assert [(row["group"]["channel"], row["value"], row["denominator"]) for row in by_channel] == [
        ("email", 100, 1),
        ("in-app", 100, 1),
    ]
    assert proof(service, channel="email", subject="nps") == (100, 1, 1)


def test_an_invitation_that_becomes_known_later_takes_over_the_response(service: Service) -> None:
    service.on("2026-03-10").send(sent("2026-03-01", user="ada"), response("2026-03-08", user="ada", comment="Hm."))
    days = {"start": "2026-03-01", "end": "2026-03-09", "granularity": "day"}

    def answered_on(**question: Any) -> list[str]:
        return [row["start"] for row in service.rows(RATE, **days, **BY_INVITATION, **question) if row["numerator"]]

    assert answered_on() == ["2026-03-01"]
    service.on("2026-03-11").send(sent("2026-03-05", user="ada", id="reminder"))
    assert answered_on() == ["2026-03-05"]
    service.on("2026-03-12").retract("acme", "reminder")
    assert answered_on() == ["2026-03-01"]
    assert [answered_on(as_of=f"2026-03-{day}") for day in (10, 11, 12)] == [
        ["2026-03-01"],
        ["2026-03-05"],
        ["2026-03-01"],
    ]
    assert service.differences() == []


def test_an_erased_user_has_the_same_invitations_and_responses(service: Service) -> None:
    service.send(sent("2026-03-01", user="ada"), sent("2026-03-01", user="bob"), response("2026-03-02", user="ada"))
    assert service.request("DELETE", "/v1/accounts/acme/users/ada/personal-data").status_code == 204
    assert proof(service) == (50, 1, 2)
    # Later responses of the person are those of a new user, without an invitation.
    service.send(response("2026-03-03", user="ada"), response("2026-03-03", user="bob"))
    assert proof(service) == (100, 2, 2)
    assert service.differences() == []


# ---- random histories ----


def survey_event(random: Random, pair: Pair) -> dict[str, Any]:
    """Return an invitation or a response at one of few instants around midnight, so that many events coincide."""
    data: dict[str, Any] = {"survey": "nps"} | ({"channel": "email"} if random.randrange(2) else {})
    verb = random.choice(["sent", "responded"])
    if verb == "responded":
        data |= {"score": 9} | ({"comment": "Hm."} if random.randrange(2) else {})
    at = datetime(2026, 3, 10, 3, tzinfo=UTC) - timedelta(hours=random.randrange(8))
    id = f"{random.randrange(100):02}-{next(pair.numbers)}"
    user = random.choice(["ada", None, None])
    return event(f"survey.{verb}", pair.accounts[0], at=at.isoformat(), user=user, id=id, **data)


def test_any_history_in_any_order_of_arrival_agrees_with_the_model(service: Service) -> None:
    @settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
    @given(st.builds(Random, st.integers(0, 2**32)))
    def check(random: Random) -> None:
        pair = Pair(service, accounts=1).on(date(2026, 3, 12), hours=12)
        days = []
        for _ in range(random.randint(1, 6)):
            pair.on(pair.today + DAY * random.randrange(3), hours=12)
            days.append(pair.today)
            batch = [survey_event(random, pair) for _ in range(random.randint(1, 8))]
            if random.randrange(2):
                # Two days in one batch, the earlier of which is not before what was recorded last.
                last = pair.model.last_recorded.get(pair.accounts[0], pair.today - DAY)
                batch = [body | {"recorded_on": str(random.choice([last, pair.today]))} for body in batch]
            pair.send(*sorted(batch, key=lambda body: body.get("recorded_on", "")))
            live = [key for key, sent in pair.model.events.items() if sent.retracted_on is None]
            for key in random.sample(live, min(len(live), random.randrange(3))):
                pair.retract(*key)
        question = {"start": date(2026, 3, 8), "end": date(2026, 3, 12), "granularity": "day", "totals": True}
        for as_of in (None, *days):
            pair.ask(RATE, **question, **BY_INVITATION, group_by=["channel"], as_of=as_of)
        assert pair.differences() == []

    check()


def count_neighbors(service: Service, id: str) -> int:
    """Return how many events are read when the response with this id of an account without users is posted."""

    async def count(connection: Connection) -> int:
        (account,) = await connection.execute("SELECT account_id FROM account")
        name = account.account_id, "survey"
        neighbors = await load_neighbors(connection, {name: {date(2026, 3, 15): StreamChange(added={id})}})
        return len(neighbors[name])

    return service.run(service.books.database.read(count))


def test_a_response_among_many_without_a_user_needs_only_its_neighbors(service: Service) -> None:
    times = [f"2026-03-{day:02}T{hour:02}:00:00Z" for day in range(1, 11) for hour in range(24)]
    service.send(*(response(at) for at in times), *(sent(at) for at in times[::40]))
    service.send(response("2026-03-05T08:30:00Z", id="late"), response("2026-02-01", id="first"))
    assert count_neighbors(service, "late") == 5
    assert count_neighbors(service, "first") == 0, "nothing was sent before it"
    assert proof(service) == (100, 6, 6)
    assert service.differences() == []
