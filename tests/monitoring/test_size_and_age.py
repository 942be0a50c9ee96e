"""What `GET /v1/books` says of the books: how large they are, how far they go, and what waits."""

import pytest

from app.monitoring import size_and_age
from app.monitoring.size_and_age import count_rows
from tests.support.service import Service, session


def test_empty_books_have_no_events(service: Service) -> None:
    body = service.get("/v1/books")
    assert body["events"] == {"count": 0, "is_estimate": False, "first_at": None, "last_at": None}
    assert body["accounts"] == {"count": 0, "is_estimate": False}
    assert (body["currency"], body["timezone"], body["fiscal_year_start"]) == ("USD", "UTC", 1)
    assert body["is_rebuilt"]
    assert body["webhooks"]["oldest_pending_at"] is None


def test_the_books_go_from_the_first_event_to_the_last_that_has_happened(service: Service) -> None:
    times = ["2026-01-05", "2026-02-01", "2026-03-01", "2026-03-15T12:04:00Z"]
    receipt = service.send(
        *(session(id=time[:10], at=time) for time in times), session("other", id="o", at="2026-03-01")
    )
    assert receipt["accepted"] == 5
    service.retract("acme", "2026-01-05")
    body = service.get("/v1/books")
    # One that was retracted is stored, but says nothing about how far the data go; nor does one that is ahead.
    assert body["events"]["count"] == 5
    assert body["events"]["first_at"] == "2026-02-01T12:00:00Z"
    assert body["events"]["last_at"] == "2026-03-01T12:00:00Z"
    assert body["accounts"]["count"] == 2
    assert body["last_day"] == body["first_recorded_on"] == body["today"]
    assert body["changed_at"] is not None
    assert body["size_bytes"] > 1_000_000


def test_many_events_are_estimated_and_not_counted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size_and_age, "MAX_COUNTED", 100)
    service.send(*(session(id=str(number)) for number in range(150)))

    async def analyze(connection: object) -> None:
        await connection.execute("ANALYZE event")  # type: ignore[attr-defined]

    service.run(service.books.database.write_aside(analyze))
    body = service.get("/v1/books")
    assert (body["events"]["count"], body["events"]["is_estimate"]) == (150, True)
    assert body["accounts"] == {"count": 1, "is_estimate": False}


@pytest.mark.parametrize(
    ("up_to_limit", "estimate", "count"), [(10_001, 1_234_567.0, 1_230_000), (10_001, -1.0, 10_000)]
)
def test_an_estimate_has_three_digits(up_to_limit: int, estimate: float, count: int) -> None:
    assert count_rows(up_to_limit, estimate) == {"count": count, "is_estimate": True}
