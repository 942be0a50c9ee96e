"""A campaign in the process of the tests: random writes to one application and conditional questions to another, over many days.

Its clock is the test's, so it goes through more midnights than `process_campaign`, which is over processes and has the real one.
`make campaign` tries many more pairs of a write and a question than the suite.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import httpx
import pytest

from app.core import meters
from tests.polling.test_polls import QUESTIONS
from tests.support.campaign import examples
from tests.support.service import Service, account_update, event, session, survey_responses

PAIRS = examples(150)
ACCOUNTS = ("acme", "globex", "initech")


def random_write(random: Random, service: Service) -> None:
    """Do something that may change an answer."""
    account, number = random.choice(ACCOUNTS), random.randrange(10**9)
    kind = random.randrange(13)
    day = str(service.books.today())
    if kind < 3:
        service.send(session(account, at=random.choice([day + "T00:00:00Z", "2026-02-10"]), user=random.choice("ab")))
    elif kind == 3:
        service.send(*survey_responses("nps", [random.randrange(11)], account, comment="So so", user="ada"))
    elif kind == 4:
        service.send(account_update(account, plan=random.choice(["pro", "basic"]), at=day + "T00:00:00Z"))
    elif kind == 5:
        events = service.get("/v1/metrics/sessions/events", period="2026")["rows"]
        if events:
            chosen = random.choice(events)
            service.retract(chosen["account_id"], chosen["id"])
    elif kind == 6:
        service.put(
            f"/v1/segments/{random.choice(['big', 'small'])}?strict=false", {"filter": f'plan = "{number % 3}"'}
        )
    elif kind == 7:
        currency = "".join(random.choice("ABCDEFGHIJ") for _ in range(3))
        service.request(
            "PUT", "/v1/exchange-rates", json={"currency": random.choice(["EUR", currency]), "rates": {day: "1.5"}}
        )
    elif kind == 8:
        service.put("/v1/targets/t", {"metric": "sessions", "granularity": "month", "value": 1 + number % 100})
    elif kind == 9:
        service.request("DELETE", f"/v1/accounts/{account}/users/{random.choice(['ada', 'a'])}/personal-data")
    elif kind == 10:
        service.later(hours=random.choice([1, 6, 13]))
    elif kind == 11:
        service.run(change_margin(service, number))
    else:
        service.send(
            event("subscription.changed", account, subscription_id="s", mrr=str(number % 1000), at=day + "T00:00:00Z")
        )


async def change_margin(service: Service, number: int) -> None:
    async def write(connection: Any) -> None:
        await connection.execute(
            "INSERT INTO gross_margin VALUES (%(day)s, %(margin)s) "
            "ON CONFLICT (valid_from) DO UPDATE SET margin = excluded.margin",
            {"day": service.books.today(), "margin": (1 + number % 99) / 100},
        )

    await service.books.database.write(write)


@pytest.mark.own_database
def test_no_answer_to_a_poll_is_stale_after_any_write(start_service: Callable[..., Service]) -> None:
    one, *_ = services = start_service(), start_service()
    # It keeps nothing in memory, and no request of it names a tag.
    judge = start_service(answer_memory_bytes=0)
    random = Random(16)
    one.send(*(session(account, id="first") for account in ACCOUNTS), account_update(plan="basic"))
    one.put("/v1/segments/big", {"filter": 'plan = "basic"'})
    questions = [*QUESTIONS, "/v1/metrics/clv?period=2026", "/v1/metrics/mrr?granularity=day&period=last_7_days"]
    path = questions[0]
    known: dict[str, httpx.Response] = {}
    counts = [meters.POLLS.labels(answer) for answer in ("not_modified", "memory", "computed")]
    before = [count._value.get() for count in counts]
    for _ in range(PAIRS):
        if random.random() < 0.4:
            random_write(random, random.choice(services))
        judge.now = max(service.now for service in services)
        for service in services:
            service.now = judge.now
        # Most pollers ask the same again and again.
        path = random.choice(questions) if random.random() < 0.4 else path
        headers = {"If-None-Match": known[path].headers["etag"]} if path in known and random.random() < 0.7 else {}
        answer = random.choice(services).request("GET", path, headers=headers)
        right = judge.request("GET", path)
        assert right.status_code == 200, right.text
        if answer.status_code == 304:
            assert right.content == known[path].content, path
        else:
            assert answer.content == right.content, path
            known[path] = answer
    assert all(count._value.get() - old > PAIRS / 50 for count, old in zip(counts, before, strict=True))
