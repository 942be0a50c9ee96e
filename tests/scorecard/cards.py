"""Builders for the tests of targets."""

from typing import Any

from tests.support.service import Service, event, session, survey_responses

FEBRUARY, MARCH = "2026-02-10", "2026-03-10"


def put(service: Service, id: str, metric: str, value: Any, granularity: str = "month", **more: Any) -> dict[str, Any]:
    """Put a target and return it. `since` is the field `from`, which is a keyword of Python."""
    if "since" in more:
        more["from"] = more.pop("since")
    body: dict[str, Any] = {"metric": metric, "granularity": granularity, "value": value} | more
    target: dict[str, Any] = service.put(f"/v1/targets/{id}", body).json()
    return target


def card(service: Service, **parameters: Any) -> dict[str, dict[str, Any]]:
    """Return the rows of a scorecard by target."""
    return {row["id"]: row for row in service.get("/v1/scorecard", **parameters)["rows"]}


def row(service: Service, id: str, **parameters: Any) -> dict[str, Any]:
    return card(service, **parameters)[id]


def follow(service: Service, path: str) -> Any:
    """Return the JSON answer at a path with its query, as an answer links to it."""
    answer = service.request("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def history(service: Service, id: str, **parameters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = service.get(f"/v1/targets/{id}/history", **parameters)["rows"]
    return rows


def customers(service: Service, *accounts: str, at: str = FEBRUARY, mrr: str = "100") -> None:
    service.send(*(event("subscription.changed", name, at=at, subscription_id="s", mrr=mrr) for name in accounts))


def cancel(service: Service, *accounts: str, at: str = MARCH) -> None:
    service.send(*(event("subscription.canceled", name, at=at, subscription_id="s") for name in accounts))


def sessions(service: Service, count: int, *, at: str = MARCH, **rest: Any) -> None:
    service.send(*(session(at=at, **rest) for _ in range(count)))


def tickets(service: Service, count: int, *, at: str = MARCH) -> None:
    service.send(*(event("ticket.opened", at=at, ticket_id=f"{at} {number}") for number in range(count)))


def satisfaction(service: Service, satisfied: int, unsatisfied: int, *, at: str = MARCH) -> None:
    service.send(*survey_responses("csat", [5] * satisfied + [1] * unsatisfied, at=at))


def faults(service: Service, body: Any, **parameters: Any) -> dict[str, str]:
    """Return the codes of the faults of a target by pointer. It must not be stored."""
    answer = service.request("PUT", "/v1/targets/wrong", json=body, params=parameters)
    assert answer.status_code == 422, answer.text
    assert "wrong" not in {target["id"] for target in service.get("/v1/targets")["targets"]}
    return {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]}
