"""The stream of a ticket, a pure function, and what its metrics make of it."""

from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Calendar
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.tickets import ticket
from tests.model.stream_events import UTC_CALENDAR, postings, stream_event
from tests.support.service import Service, event

OPENED, RESOLVED = "tickets_opened", "tickets_resolved"
OF_OPENING = ("tickets_opened_resolved", "tickets_opened_first_contact", "ticket_resolution_seconds")


def opened(at: str, **data: Any) -> StreamEvent:
    return stream_event("ticket.opened", at, **data)


def replied(at: str, by: str | None = "agent", **data: Any) -> StreamEvent:
    return stream_event("ticket.replied", at, **data, **({} if by is None else {"by": by}))


def resolved(at: str, **data: Any) -> StreamEvent:
    return stream_event("ticket.resolved", at, **data)


def reopened(at: str, **data: Any) -> StreamEvent:
    return stream_event("ticket.reopened", at, **data)


def lines(*happenings: StreamEvent, calendar: Calendar = UTC_CALENDAR) -> dict[tuple[str, str, str], int]:
    return dict(postings(*happenings, by=ticket, calendar=calendar))


def days(measure: str, *happenings: StreamEvent) -> dict[str, int]:
    """What a measure comes to on each day."""
    return {day: value for (day, name, _), value in lines(*happenings).items() if name == measure}


def is_first_contact(*happenings: StreamEvent) -> bool:
    """What both measures of it say, one on the day of the opening, one on that of the resolution."""
    of_opening, of_resolution = (days(f"tickets_{way}_first_contact", *happenings) for way in ("opened", "resolved"))
    assert list(of_opening.values()) == list(of_resolution.values()) in ([], [1])
    assert of_opening.keys() <= days(OPENED, *happenings).keys()
    assert of_resolution.keys() <= days(RESOLVED, *happenings).keys()
    return bool(of_opening)


def test_what_became_of_a_ticket_is_told_of_its_opening_and_the_backlog_of_each_day() -> None:
    assert lines(opened("2026-03-02"), replied("2026-03-03"), resolved("2026-03-04T12:00:30")) == {
        ("2026-03-02", "tickets_opened", ""): 1,
        ("2026-03-02", "tickets_open", ""): 1,
        ("2026-03-02", "tickets_opened_resolved", ""): 1,
        ("2026-03-02", "tickets_opened_first_contact", ""): 1,
        ("2026-03-02", "ticket_resolution_seconds", ""): 2 * 86_400 + 30,
        ("2026-03-04", "tickets_open", ""): -1,
        ("2026-03-04", "tickets_resolved", ""): 1,
        ("2026-03-04", "tickets_resolved_first_contact", ""): 1,
    }


def test_nothing_posts_nothing() -> None:
    assert lines() == {}


@pytest.mark.parametrize(
    ("story", "open_on"),
    [
        ([opened("2026-03-02")], {"2026-03-02": 1}),
        ([opened("2026-03-02"), opened("2026-03-03")], {"2026-03-02": 1}),
        ([opened("2026-03-02"), reopened("2026-03-03")], {"2026-03-02": 1}),
        ([opened("2026-03-02"), replied("2026-03-03")], {"2026-03-02": 1}),
        ([opened("2026-03-02"), resolved("2026-03-04")], {"2026-03-02": 1, "2026-03-04": -1}),
        ([opened("2026-03-02"), resolved("2026-03-04"), resolved("2026-03-05")], {"2026-03-02": 1, "2026-03-04": -1}),
        ([opened("2026-03-02"), resolved("2026-03-04"), replied("2026-03-05")], {"2026-03-02": 1, "2026-03-04": -1}),
        (
            [opened("2026-03-02"), resolved("2026-03-04"), reopened("2026-03-06")],
            {"2026-03-02": 1, "2026-03-04": -1, "2026-03-06": 1},
        ),
        (
            [opened("2026-03-02"), resolved("2026-03-04"), opened("2026-03-06")],
            {"2026-03-02": 1, "2026-03-04": -1, "2026-03-06": 1},
        ),
        ([opened("2026-03-02T08:00"), resolved("2026-03-02T09:00")], {}),
        ([opened("2026-03-02"), resolved("2026-03-04T08:00"), reopened("2026-03-04T09:00")], {"2026-03-02": 1}),
        ([resolved("2026-03-04")], {}),
        ([replied("2026-03-04")], {"2026-03-04": 1}),
        ([reopened("2026-03-04")], {"2026-03-04": 1}),
    ],
    ids=lambda given: " ".join(h.type[7:] for h in given) if isinstance(given, list) else "",
)
def test_only_changes_of_state_change_the_backlog(story: list[StreamEvent], open_on: dict[str, int]) -> None:
    assert days("tickets_open", *story) == open_on
    assert sum(days(OPENED, *story).values()) == 1, "a ticket is opened once, however often it is opened again"


@pytest.mark.parametrize("first", [resolved, replied, reopened])
def test_whatever_is_heard_of_a_ticket_first_opens_it(first: Any) -> None:
    assert days(OPENED, first("2026-03-04")) == {"2026-03-04": 1}
    # Until an opening comes that occurred before, however late.
    assert days(OPENED, first("2026-03-04"), opened("2026-03-02")) == {"2026-03-02": 1}


def test_a_resolution_without_an_opening_took_no_time() -> None:
    assert lines(resolved("2026-03-04")) == {
        ("2026-03-04", "tickets_opened", ""): 1,
        ("2026-03-04", "tickets_opened_resolved", ""): 1,
        ("2026-03-04", "tickets_opened_first_contact", ""): 1,
        ("2026-03-04", "tickets_resolved", ""): 1,
        ("2026-03-04", "tickets_resolved_first_contact", ""): 1,
    }


def test_the_time_goes_to_the_last_resolution_and_a_ticket_that_is_open_again_has_none() -> None:
    story = [opened("2026-03-02"), resolved("2026-03-03"), reopened("2026-03-05"), resolved("2026-03-06")]
    assert days("ticket_resolution_seconds", *story[:2]) == {"2026-03-02": 86_400}
    assert days(RESOLVED, *story[:2]) == {"2026-03-03": 1}
    for measure in (*OF_OPENING, RESOLVED):
        assert days(measure, *story[:3]) == {}, measure
    assert days("ticket_resolution_seconds", *story) == {"2026-03-02": 4 * 86_400}
    assert days("tickets_opened_resolved", *story) == {"2026-03-02": 1}
    assert days(RESOLVED, *story) == {"2026-03-06": 1}


@pytest.mark.parametrize(
    ("at_once", "story"),
    [
        (True, [opened("2026-03-02"), resolved("2026-03-05")]),
        (True, [opened("2026-03-02"), replied("2026-03-03"), resolved("2026-03-05")]),
        (False, [opened("2026-03-02"), replied("2026-03-03"), replied("2026-03-04"), resolved("2026-03-05")]),
        (
            True,
            [opened("2026-03-02"), replied("2026-03-03", "customer"), replied("2026-03-04"), resolved("2026-03-05")],
        ),
        (False, [opened("2026-03-02"), replied("2026-03-03", None), replied("2026-03-04"), resolved("2026-03-05")]),
        # What comes after it was resolved was not needed.
        (True, [opened("2026-03-02"), replied("2026-03-03"), resolved("2026-03-05"), replied("2026-03-06")]),
        (True, [opened("2026-03-02"), resolved("2026-03-05"), replied("2026-03-06"), resolved("2026-03-07")]),
        (False, [replied("2026-03-02"), replied("2026-03-03"), resolved("2026-03-05")]),
        # The helpdesk knows better, and what it says last counts.
        (False, [opened("2026-03-02"), resolved("2026-03-05", first_contact=False)]),
        (
            True,
            [
                opened("2026-03-02"),
                replied("2026-03-03"),
                replied("2026-03-04"),
                resolved("2026-03-05", first_contact=True),
            ],
        ),
        (
            False,
            [
                opened("2026-03-02"),
                resolved("2026-03-05", first_contact=True),
                resolved("2026-03-06", first_contact=False),
                resolved("2026-03-07"),
            ],
        ),
        # Said of anything but a resolution it is not said.
        (True, [opened("2026-03-02", first_contact=False), resolved("2026-03-05")]),
        # Open again it was not done at once, whoever says so.
        (False, [opened("2026-03-02"), resolved("2026-03-05", first_contact=True), reopened("2026-03-06")]),
        (
            False,
            [
                opened("2026-03-02"),
                resolved("2026-03-05"),
                reopened("2026-03-06"),
                resolved("2026-03-07", first_contact=True),
            ],
        ),
        (False, [reopened("2026-03-02"), resolved("2026-03-05", first_contact=True)]),
        # But nobody reopens what is open.
        (True, [opened("2026-03-02"), reopened("2026-03-03"), resolved("2026-03-05")]),
        (False, [opened("2026-03-02")]),
    ],
)
def test_a_ticket_is_resolved_at_the_first_contact_or_not(at_once: bool, story: list[StreamEvent]) -> None:
    assert is_first_contact(*story) is at_once


def test_at_one_instant_a_ticket_is_opened_answered_opened_again_and_then_resolved() -> None:
    at = "2026-03-04T08:00:00"
    backwards = [
        resolved(at, id="1"),
        reopened(at, id="2"),
        replied(at, id="3"),
        replied(at, id="4"),
        opened(at, id="5"),
    ]
    assert lines(*backwards) == lines(*reversed(backwards))
    assert days("tickets_opened_resolved", *backwards) == {"2026-03-04": 1}
    assert not is_first_contact(*backwards), "both replies came before it was resolved"
    assert is_first_contact(*backwards[:3])


def test_all_entries_of_a_ticket_are_of_the_channel_that_is_named_first() -> None:
    story = [opened("2026-03-02"), replied("2026-03-03", channel="chat"), resolved("2026-03-04", channel="phone")]
    assert {channel for _, _, channel in lines(*story)} == {"chat"}
    assert {channel for _, _, channel in lines(opened("2026-03-01", channel="email"), *story)} == {"email"}
    assert {channel for _, _, channel in lines(story[0])} == {""}


def test_the_time_zone_decides_the_day_and_not_the_seconds() -> None:
    story = [opened("2026-03-02T23:30:00.900000"), resolved("2026-03-03T00:30:00")]
    in_tokyo = lines(*story, calendar=Calendar(ZoneInfo("Asia/Tokyo")))
    assert {day for day, _, _ in lines(*story)} == {"2026-03-02", "2026-03-03"}
    assert {day for day, _, _ in in_tokyo} == {"2026-03-03"}
    # Whole seconds that have passed.
    assert in_tokyo["2026-03-03", "ticket_resolution_seconds", ""] == 3_599
    assert days("ticket_resolution_seconds", *story) == {"2026-03-02": 3_599}


# ---- over HTTP ----

MARCH, APRIL = "2026-03", "2026-04"
ASKED = "support_tickets,first_contact_resolution_rate,average_resolution_hours,ticket_backlog"


def told(verb: str, at: str, ticket: str = "T 1", account: str = "acme", **data: Any) -> dict[str, Any]:
    return event(f"ticket.{verb}", account, at=at, ticket_id=ticket, id=f"{ticket} {verb} {at}", **data)


STORY = [
    told("opened", "2026-03-02T08:00:00Z", channel="email"),
    told("replied", "2026-03-02T09:00:00Z", by="agent"),
    told("resolved", "2026-03-02T20:00:00Z"),
    told("reopened", "2026-03-05T08:00:00Z", by="customer"),
    told("resolved", "2026-03-06T08:00:00Z", first_contact=True),
    told("opened", "2026-03-03T08:00:00Z", "T 2", channel="chat"),
    told("resolved", "2026-03-03T14:00:00Z", "T 2", first_contact=True),
    told("opened", "2026-03-30T08:00:00Z", "T 3"),
]


def values(service: Service, **question: Any) -> list[Any]:
    """Tickets opened, at the first contact, hours to resolution, and backlog."""
    rows = {row["metric"]: row["value"] for row in service.get("/v1/query", metrics=ASKED, **question)["rows"]}
    return [rows[metric] for metric in ASKED.split(",")]


def test_the_metrics_of_support_are_as_the_contract_says(service: Service) -> None:
    service.on("2026-04-10").send(*STORY)
    assert values(service, period=MARCH) == [3, pytest.approx(100 / 3, abs=1e-6), (96 + 6) / 2, 1]
    assert values(service, period=MARCH, channel="chat") == [1, 100, 6, 0]
    assert values(service, period=APRIL) == [0, None, None, 1]
    backlog = service.rows("ticket_backlog", start="2026-03-02", end="2026-03-08", granularity="day")
    assert [row["value"] for row in backlog] == [0, 0, 0, 1, 0, 0]
    row = service.row("first_contact_resolution_rate")
    assert (row["numerator"], row["denominator"], row["sample_size"]) == (1, 3, 3)
    assert row["interval"][0] < row["value"] < row["interval"][1]
    reasons = [service.row(metric, period=APRIL).get("reason") for metric in ASKED.split(",")]
    assert reasons == [None, "no_tickets", "no_tickets_resolved", None]


def test_tickets_are_put_against_the_customers_at_the_end(service: Service) -> None:
    service.on("2026-04-10").send(*STORY)
    metric = "tickets_per_100_customers"
    assert service.row(metric)["reason"] == "no_customers"
    for account in ("acme", "globex"):
        service.send(event("subscription.changed", account, at="2026-03-20", subscription_id="one", mrr="10"))
    row = service.row(metric)
    assert (row["value"], row["numerator"], row["denominator"], row["interval"]) == (150, 3, 2, None)
    assert service.request("GET", f"/v1/metrics/{metric}?group_by=channel").status_code == 422


def test_tickets_arrive_in_any_order_and_what_is_taken_back_never_was(service: Service) -> None:
    service.on("2026-04-10")
    for number, order in enumerate(permutations(STORY[:5])):
        account = f"account-{number}"
        for part in (order[:2], order[2:], order[:1]):
            service.send(*part, account_id=account)
        assert values(service, period=MARCH, account=account) == [1, 0, 96, 0]
    service.retract("account-7", STORY[3]["id"])
    # It was never reopened: resolved after 12 hours, and the helpdesk says at once.
    assert values(service, period=MARCH, account="account-7") == [1, 100, 12, 0]
    service.retract("account-7", STORY[0]["id"])
    assert values(service, period=MARCH, account="account-7") == [1, 100, 11, 0]
    assert service.differences() == []


def test_a_month_that_is_over_is_told_anew_when_a_ticket_of_it_is_opened_again(service: Service) -> None:
    service.on("2026-03-20").send(told("opened", "2026-02-20"), told("resolved", "2026-02-21"))
    assert values(service, period="2026-02") == [1, 100, 24, 0]
    service.on("2026-03-22").send(told("reopened", "2026-03-21"))
    assert values(service, period="2026-02") == [1, 0, None, 0]
    assert values(service, period="2026-02", as_of="2026-03-21") == [1, 100, 24, 0]
    assert service.value("ticket_backlog") == 1
    assert service.differences() == []
