"""Registers: things of the service that one client sets to 1, 2, 3 … while others read them by conditional questions.

A question that begins after a write was acknowledged, or after another answer has come, may never be answered as of before it.
"""

import base64
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.polling.writes import BEFORE, Send, health_model, new_event, segment_call

# How many events of a register are there to be retracted.
_RETRACTABLE = 1_000


@dataclass
class Register:
    """A number in the service. write: sets it. read: returns it from the body of the answer to the question `path`."""

    name: str
    path: str
    write: Callable[[Send, int], object]
    read: Callable[[Any], int]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sent: int = 0
    _least: int = 0

    def set_next(self, send: Send) -> None:
        """Set it to the next number, and return when that is acknowledged."""
        with self._lock:
            self._sent += 1
            number = self._sent
        self.write(send, number)
        with self._lock:
            self._least = max(self._least, number)

    def check(self, ask: Callable[[str], bytes]) -> None:
        """Ask for it. Fails for a number of before the question was asked, and for one that was not written yet."""
        with self._lock:
            least = self._least
        number = self.read(json.loads(ask(self.path)))
        with self._lock:
            assert least <= number <= self._sent, f"{self.name} is {number}, not {least} to {self._sent}"
            self._least = max(self._least, number)


def _range() -> str:
    """Return days that begin before the campaign and end after it."""
    today = datetime.now(UTC).date()
    return f"start={today - timedelta(days=3)}&end={today + timedelta(days=4)}"


def _value(body: Any) -> int:
    [row] = body["rows"]
    return int(row["value"])


def _metric(metric: str, account: str) -> str:
    return f"/v1/metrics/{metric}?granularity=total&account={account}&{_range()}"


def _now_event(type: str, account: str, id: str, **data: Any) -> dict[str, Any]:
    event = new_event(type, Random(), account, **data)
    return event | {"id": id, "occurred_at": datetime.now(UTC).isoformat()}


def _earlier_event(type: str, account: str, id: str) -> dict[str, Any]:
    return _now_event(type, account, id) | {"occurred_at": BEFORE}


def _post(events: Sequence[dict[str, Any]]) -> Callable[[Send], None]:
    def send_events(send: Send) -> None:
        answer = send("POST", "/v1/events", json=list(events)).json()
        assert answer["accepted"] + answer["duplicates"] == len(events), answer

    return send_events


def _write_sessions(account: str, size: int) -> Callable[[Send, int], None]:
    def write(send: Send, number: int) -> None:
        ids = [f"{number}-{part}" for part in range(size)]
        _post([_now_event("session.ended", account, id) for id in ids])(send)

    return write


_COMMENT = base64.urlsafe_b64encode(b"r-comment\0c").decode().rstrip("=")


def prepare_registers(send: Send) -> list[Register]:
    """Return all registers, after writing what they need: each is 0, or nothing, at first."""
    accounts = [f"r-{name}" for name in ("event", "batch", "retraction", "attribute", "group", "mrr")]
    _post([_earlier_event("account.updated", name, "first") for name in accounts])(send)
    _post([_earlier_event("feedback.received", "r-comment", "c")])(send)
    _post([_earlier_event("session.ended", "r-retraction", f"{number + 1}") for number in range(_RETRACTABLE)])(send)
    return _registers()


def _registers() -> list[Register]:
    return [
        Register("event", _metric("sessions", "r-event"), _write_sessions("r-event", 1), _value),
        # A batch is counted completely or not at all.
        Register(
            "batch",
            _metric("sessions", "r-batch"),
            _write_sessions("r-batch", 20),
            lambda body: _whole(_value(body), 20),
        ),
        Register(
            "retraction",
            _metric("sessions", "r-retraction"),
            lambda send, number: send("DELETE", f"/v1/accounts/r-retraction/events/{number}"),
            lambda body: _RETRACTABLE - _value(body),
        ),
        Register(
            "subscription",
            _metric("mrr", "r-mrr"),
            lambda send, number: _post(
                [_now_event("subscription.changed", "r-mrr", f"s-{number}", amount=str(12 * number), interval="year")]
            )(send),
            _value,
        ),
        Register(
            "attribute",
            "/v1/accounts/r-attribute",
            lambda send, number: send("PUT", "/v1/accounts/r-attribute", json={"attributes": {"level": number}}),
            lambda body: int(body["attributes"].get("level", 0)),
        ),
        Register(
            "Segment's group",
            "/v1/accounts/r-group",
            lambda send, number: send(
                "POST", "/v1/segment/group", json=segment_call("", groupId="r-group", traits={"level": number})
            ),
            lambda body: int(body["attributes"].get("level", 0)),
        ),
        Register(
            "segment",
            "/v1/segments",
            lambda send, number: send("PUT", "/v1/segments/register", json={"filter": f"level > {number}"}),
            lambda body: next(
                (int(own["filter"].rpartition(" ")[2]) for own in body["segments"] if own["name"] == "register"), 0
            ),
        ),
        Register(
            "target",
            "/v1/targets",
            lambda send, number: send(
                "PUT",
                "/v1/targets/register",
                json={"metric": "mrr", "granularity": "month", "value": number},
            ),
            lambda body: next((int(own["value"]) for own in body["targets"] if own["id"] == "register"), 0),
        ),
        Register(
            "rate",
            "/v1/exchange-rates",
            lambda send, number: send(
                "PUT", "/v1/exchange-rates", json={"currency": "XXR", "rates": {"2026-01-01": str(number)}}
            ),
            _read_rate,
        ),
        Register(
            "survey",
            "/v1/surveys",
            lambda send, number: send(
                "PUT",
                "/v1/surveys/register",
                json={"kind": "csat", "scale": {"min": 1, "max": 5}, "question": f"{number}"},
            ),
            lambda body: next((int(own["question"]) for own in body["surveys"] if own["id"] == "register"), 0),
        ),
        Register(
            "comment",
            f"/v1/feedback/{_COMMENT}",
            lambda send, number: send("PATCH", f"/v1/feedback/{_COMMENT}", json={"note": str(number)}),
            lambda body: int(body["note"] or 0),
        ),
        Register(
            "health model",
            "/v1/health-model",
            lambda send, number: send("PUT", "/v1/health-model", json=health_model(f"Register {number}")),
            lambda body: int(body["model"]["description"].rpartition(" ")[2]),
        ),
    ]


def _whole(count: int, size: int) -> int:
    assert count % size == 0, f"{count} of batches of {size}"
    return count // size


def _read_rate(body: Any) -> int:
    rates = [own["rates"] for own in body["exchange_rates"] if own["currency"] == "XXR"]
    return int(float(rates[0]["2026-01-01"])) if rates else 0
