"""The stream of a ticket, a pure function, and the support metrics."""

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
MEASURES_OF_OPENING = ("tickets_opened_resolved", "tickets_opened_first_contact", "ticket_resolution_seconds")


def ticket_opened(at: str, **data: Any) -> StreamEvent:
    return stream_event("ticket.opened", at, **data)


def ticket_replied(at: str, by: str | None = "agent", **data: Any) -> StreamEvent:
    return stream_event("ticket.replied", at, **data, **({} if by is None else {"by": by}))


def ticket_resolved(at: str, **data: Any) -> StreamEvent:
    return stream_event("ticket.resolved", at, **data)


def ticket_reopened(at: str, **data: Any) -> StreamEvent:
    return stream_event("ticket.reopened", at, **data)


def lines(*events: StreamEvent, calendar: Calendar = UTC_CALENDAR) -> dict[tuple[str, str, str], int]:
    return dict(postings(*events, by=ticket, calendar=calendar))


def days(measure: str, *events: StreamEvent) -> dict[str, int]:
    """Return the value of a measure by day."""
    return {day: value for (day, name, _), value in lines(*events).items() if name == measure}


def is_first_contact(*events: StreamEvent) -> bool:
    """Return what both measures say: one is posted on the day of the opening, one on that of the resolution."""
    of_opening, of_resolution = (days(f"tickets_{name}_first_contact", *events) for name in ("opened", "resolved"))
    assert list(of_opening.values()) == list(of_resolution.values()) in ([], [1])
    assert of_opening.keys() <= days(OPENED, *events).keys()
    assert of_resolution.keys() <= days(RESOLVED, *events).keys()
    return bool(of_opening)


def test_outcomes_are_posted_on_the_day_of_opening_and_the_backlog_on_each_day() -> None:
    assert lines(ticket_opened("2026-03-02"), ticket_replied("2026-03-03"), ticket_resolved("2026-03-04T12:00:30")) == {
        ("2026-03-02", "tickets_opened", ""): 1,
        ("2026-03-02", "tickets_open", ""): 1,
        ("2026-03-02", "tickets_opened_resolved", ""): 1,
        ("2026-03-02", "tickets_opened_first_contact", ""): 1,
        ("2026-03-02", "ticket_resolution_seconds", ""): 2 * 86_400 + 30,
        ("2026-03-04", "tickets_open", ""): -1,
        ("2026-03-04", "tickets_resolved", ""): 1,
        ("2026-03-04", "tickets_resolved_first_contact", ""): 1,
    }


def test_a_stream_without_events_posts_nothing() -> None:
    assert lines() == {}


@pytest.mark.parametrize(
    ("events", "open_on"),
    [
        ([ticket_opened("2026-03-02")], {"2026-03-02": 1}),
        ([ticket_opened("2026-03-02"), ticket_opened("2026-03-03")], {"2026-03-02": 1}),
        ([ticket_opened("2026-03-02"), ticket_reopened("2026-03-03")], {"2026-03-02": 1}),
        ([ticket_opened("2026-03-02"), ticket_replied("2026-03-03")], {"2026-03-02": 1}),
        ([ticket_opened("2026-03-02"), ticket_resolved("2026-03-04")], {"2026-03-02": 1, "2026-03-04": -1}),
        (
            [ticket_opened("2026-03-02"), ticket_resolved("2026-03-04"), ticket_resolved("2026-03-05")],
            {"2026-03-02": 1, "2026-03-04": -1},
        ),
        (
            [ticket_opened("2026-03-02"), ticket_resolved("2026-03-04"), ticket_replied("2026-03-05")],
            {"2026-03-02": 1, "2026-03-04": -1},
        ),
        (
            [ticket_opened("2026-03-02"), ticket_resolved("2026-03-04"), ticket_reopened("2026-03-06")],
            {"2026-03-02": 1, "2026-03-04": -1, "2026-03-06": 1},
        ),
        (
            [ticket_opened("2026-03-02"), ticket_resolved("2026-03-04"), ticket_opened("2026-03-06")],
            {"2026-03-02": 1, "2026-03-04": -1, "2026-03-06": 1},
        ),
        ([ticket_opened("2026-03-02T08:00"), ticket_resolved("2026-03-02T09:00")], {}),
        (
            [ticket_opened("2026-03-02"), ticket_resolved("2026-03-04T08:00"), ticket_reopened("2026-03-04T09:00")],
            {"2026-03-02": 1},
        ),
        ([ticket_resolved("2026-03-04")], {}),
        ([ticket_replied("2026-03-04")], {"2026-03-04": 1}),
        ([ticket_reopened("2026-03-04")], {"2026-03-04": 1}),
    ],
    ids=lambda value: " ".join(event.type[7:] for event in value) if isinstance(value, list) else "",
)
def test_only_changes_of_state_change_the_backlog(events: list[StreamEvent], open_on: dict[str, int]) -> None:
    assert days("tickets_open", *events) == open_on
    assert sum(days(OPENED, *events).values()) == 1, "a ticket is opened once, however often it is reopened"


@pytest.mark.parametrize("build_event", [ticket_resolved, ticket_replied, ticket_reopened])
def test_the_first_event_of_a_ticket_opens_it(build_event: Any) -> None:
    assert days(OPENED, build_event("2026-03-04")) == {"2026-03-04": 1}
    # An earlier opening takes its place, however late it arrives.
    assert days(OPENED, build_event("2026-03-04"), ticket_opened("2026-03-02")) == {"2026-03-02": 1}


def test_a_resolution_without_an_opening_takes_no_time() -> None:
    assert lines(ticket_resolved("2026-03-04")) == {
        ("2026-03-04", "tickets_opened", ""): 1,
        ("2026-03-04", "tickets_opened_resolved", ""): 1,
        ("2026-03-04", "tickets_opened_first_contact", ""): 1,
        ("2026-03-04", "tickets_resolved", ""): 1,
        ("2026-03-04", "tickets_resolved_first_contact", ""): 1,
    }


def test_the_resolution_time_ends_with_the_last_resolution_of_a_ticket_that_stays_resolved() -> None:
    events = [
        ticket_opened("2026-03-02"),
        ticket_resolved("2026-03-03"),
        ticket_reopened("2026-03-05"),
        ticket_resolved("2026-03-06"),
    ]
    assert days("ticket_resolution_seconds", *events[:2]) == {"2026-03-02": 86_400}
    assert days(RESOLVED, *events[:2]) == {"2026-03-03": 1}
    for measure in (*MEASURES_OF_OPENING, RESOLVED):
        assert days(measure, *events[:3]) == {}, measure
    assert days("ticket_resolution_seconds", *events) == {"2026-03-02": 4 * 86_400}
    assert days("tickets_opened_resolved", *events) == {"2026-03-02": 1}
    assert days(RESOLVED, *events) == {"2026-03-06": 1}


@pytest.mark.parametrize(
    ("is_first_contact_resolution", "events"),
    [
        (True, [ticket_opened("2026-03-02"), ticket_resolved("2026-03-05")]),
        (True, [ticket_opened("2026-03-02"), ticket_replied("2026-03-03"), ticket_resolved("2026-03-05")]),
        (
            False,
            [
                ticket_opened("2026-03-02"),
                ticket_replied("2026-03-03"),
                ticket_replied("2026-03-04"),
                ticket_resolved("2026-03-05"),
            ],
        ),
        (
            True,
            [
                ticket_opened("2026-03-02"),
                ticket_replied("2026-03-03", "customer"),
                ticket_replied("2026-03-04"),
                ticket_resolved("2026-03-05"),
            ],
        ),
        (
            False,
            [
                ticket_opened("2026-03-02"),
                ticket_replied("2026-03-03", None),
                ticket_replied("2026-03-04"),
                ticket_resolved("2026-03-05"),
            ],
        ),
        # A reply after the resolution does not count.
        (
            True,
            [
                ticket_opened("2026-03-02"),
                ticket_replied("2026-03-03"),
                ticket_resolved("2026-03-05"),
                ticket_replied("2026-03-06"),
            ],
        ),
        (
            True,
            [
                ticket_opened("2026-03-02"),
                ticket_resolved("2026-03-05"),
                ticket_replied("2026-03-06"),
                ticket_resolved("2026-03-07"),
            ],
        ),
        (False, [ticket_replied("2026-03-02"), ticket_replied("2026-03-03"), ticket_resolved("2026-03-05")]),
        # The helpdesk's own flag takes precedence; the last one counts.
        (False, [ticket_opened("2026-03-02"), ticket_resolved("2026-03-05", first_contact=False)]),
        (
            True,
            [
                ticket_opened("2026-03-02"),
                ticket_replied("2026-03-03"),
                ticket_replied("2026-03-04"),
                ticket_resolved("2026-03-05", first_contact=True),
            ],
        ),
        (
            False,
            [
                ticket_opened("2026-03-02"),
                ticket_resolved("2026-03-05", first_contact=True),
                ticket_resolved("2026-03-06", first_contact=False),
                ticket_resolved("2026-03-07"),
            ],
        ),
        # The flag counts only with a resolution.
        (True, [ticket_opened("2026-03-02", first_contact=False), ticket_resolved("2026-03-05")]),
        # A reopened ticket was not resolved at first contact, whatever the flag says.
        (
            False,
            [
                ticket_opened("2026-03-02"),
                ticket_resolved("2026-03-05", first_contact=True),
                ticket_reopened("2026-03-06"),
            ],
        ),
        (
            False,
            [
                ticket_opened("2026-03-02"),
                ticket_resolved("2026-03-05"),
                ticket_reopened("2026-03-06"),
                ticket_resolved("2026-03-07", first_contact=True),
            ],
        ),
        (False, [ticket_reopened("2026-03-02"), ticket_resolved("2026-03-05", first_contact=True)]),
        # Reopening an open ticket has no effect.
        (True, [ticket_opened("2026-03-02"), ticket_reopened("2026-03-03"), ticket_resolved("2026-03-05")]),
        (False, [ticket_opened("2026-03-02")]),
    ],
)
def test_first_contact_allows_one_agent_reply_unless_the_helpdesk_flags_it(
    is_first_contact_resolution: bool, events: list[StreamEvent]
) -> None:
    assert is_first_contact(*events) is is_first_contact_resolution


def test_at_the_same_instant_opening_reply_reopening_and_resolution_come_in_this_order() -> None:
    at = "2026-03-04T08:00:00"
    reversed_events = [
        ticket_resolved(at, id="1"),
        ticket_reopened(at, id="2"),
        ticket_replied(at, id="3"),
        ticket_replied(at, id="4"),
        ticket_opened(at, id="5"),
    ]
    assert lines(*reversed_events) == lines(*reversed(reversed_events))
    assert days("tickets_opened_resolved", *reversed_events) == {"2026-03-04": 1}
    assert not is_first_contact(*reversed_events), "both replies came before the resolution"
    assert is_first_contact(*reversed_events[:3])


def test_all_entries_of_a_ticket_have_the_first_channel_named() -> None:
    events = [
        ticket_opened("2026-03-02"),
        ticket_replied("2026-03-03", channel="chat"),
        ticket_resolved("2026-03-04", channel="phone"),
    ]
    assert {channel for _, _, channel in lines(*events)} == {"chat"}
    assert {channel for _, _, channel in lines(ticket_opened("2026-03-01", channel="email"), *events)} == {"email"}
    assert {channel for _, _, channel in lines(events[0])} == {""}


def test_the_time_zone_decides_the_day_and_not_the_seconds() -> None:
    events = [ticket_opened("2026-03-02T23:30:00.900000"), ticket_resolved("2026-03-03T00:30:00")]
    in_tokyo = lines(*events, calendar=Calendar(ZoneInfo("Asia/Tokyo")))
    assert {day for day, _, _ in lines(*events)} == {"2026-03-02", "2026-03-03"}
    assert {day for day, _, _ in in_tokyo} == {"2026-03-03"}
    # Whole seconds.
    assert in_tokyo["2026-03-03", "ticket_resolution_seconds", ""] == 3_599
    assert days("ticket_resolution_seconds", *events) == {"2026-03-02": 3_599}


# ---- over HTTP ----

MARCH, APRIL = "2026-03", "2026-04"
METRICS = "support_tickets,first_contact_resolution_rate,average_resolution_hours,ticket_backlog"


def ticket_event(verb: str, at: str, ticket: str = "T 1", account: str = "acme", **data: Any) -> dict[str, Any]:
    return event(f"ticket.{verb}", account, at=at, ticket_id=ticket, id=f"{ticket} {verb} {at}", **data)


EVENTS = [
    ticket_event("opened", "2026-03-02T08:00:00Z", channel="email"),
    ticket_event("replied", "2026-03-02T09:00:00Z", by="agent"),
    ticket_event("resolved", "2026-03-02T20:00:00Z"),
    ticket_event("reopened", "2026-03-05T08:00:00Z", by="customer"),
    ticket_event("resolved", "2026-03-06T08:00:00Z", first_contact=True),
    ticket_event("opened", "2026-03-03T08:00:00Z", "T 2", channel="chat"),
    ticket_event("resolved", "2026-03-03T14:00:00Z", "T 2", first_contact=True),
    ticket_event("opened", "2026-03-30T08:00:00Z", "T 3"),
]


def metric_values(service: Service, **question: Any) -> list[Any]:
    """Return the values of the four metrics."""
    rows = {row["metric"]: row["value"] for row in service.get("/v1/query", metrics=METRICS, **question)["rows"]}
    return [rows[metric] for metric in METRICS.split(",")]


def test_support_metrics_count_by_month_and_by_channel(service: Service) -> None:
    service.on("2026-04-10").send(*EVENTS)
    assert metric_values(service, period=MARCH) == [3, pytest.approx(100 / 3, abs=1e-6), (96 + 6) / 2, 1]
    assert metric_values(service, period=MARCH, channel="chat") == [1, 100, 6, 0]
    assert metric_values(service, period=APRIL) == [0, None, None, 1]
    backlog = service.rows("ticket_backlog", start="2026-03-02", end="2026-03-08", granularity="day")
    assert [row["value"] for row in backlog] == [0, 0, 0, 1, 0, 0]
    row = service.row("first_contact_resolution_rate")
    assert (row["numerator"], row["denominator"], row["sample_size"]) == (1, 3, 3)
    assert row["interval"][0] < row["value"] < row["interval"][1]
    reasons = [service.row(metric, period=APRIL).get("reason") for metric in METRICS.split(",")]
    assert reasons == [None, "no_tickets", "no_tickets_resolved", None]


def test_tickets_per_100_customers_uses_the_customers_at_the_end(service: Service) -> None:
    service.on("2026-04-10").send(*EVENTS)
    metric = "tickets_per_100_customers"
    assert service.row(metric)["reason"] == "no_customers"
    for account in ("acme", "globex"):
        service.send(event("subscription.changed", account, at="2026-03-20", subscription_id="one", mrr="10"))
    row = service.row(metric)
    assert (row["value"], row["numerator"], row["denominator"], row["interval"]) == (150, 3, 2, None)
    assert service.request("GET", f"/v1/metrics/{metric}?group_by=channel").status_code == 422


def test_tickets_in_any_order_of_arrival_post_the_same_and_retracted_events_do_not_count(service: Service) -> None:
    service.on("2026-04-10")
    for number, order in enumerate(permutations(EVENTS[:5])):
        account = f"account-{number}"
        for part in (order[:2], order[2:], order[:1]):
            service.send(*part, account_id=account)
        assert metric_values(service, period=MARCH, account=account) == [1, 0, 96, 0]
    service.retract("account-7", EVENTS[3]["id"])
    # Without the reopening: resolved after 12 hours, at first contact by the helpdesk's flag.
    assert metric_values(service, period=MARCH, account="account-7") == [1, 100, 12, 0]
    service.retract("account-7", EVENTS[0]["id"])
    assert metric_values(service, period=MARCH, account="account-7") == [1, 100, 11, 0]
    assert service.differences() == []


def test_reopening_a_ticket_changes_the_past_month_in_which_it_was_opened(service: Service) -> None:
    service.on("2026-03-20").send(ticket_event("opened", "2026-02-20"), ticket_event("resolved", "2026-02-21"))
    assert metric_values(service, period="2026-02") == [1, 100, 24, 0]
    service.on("2026-03-22").send(ticket_event("reopened", "2026-03-21"))
    assert metric_values(service, period="2026-02") == [1, 0, None, 0]
    assert metric_values(service, period="2026-02", as_of="2026-03-21") == [1, 100, 24, 0]
    assert service.value("ticket_backlog") == 1
    assert service.differences() == []
