"""Many clients at once: whatever they send and in whatever order it meets, each event counts once and nobody sees a 5xx."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import psycopg
import pytest

from app.ledger.rebuild import rebuild
from app.ledger.verify import Difference, verify
from tests.support.service import PATIENCE, Service, answers, event, moved, session

pytestmark = pytest.mark.own_database

ACCOUNTS = [f"account-{number}" for number in range(6)]
CLIENTS = 16

Events = list[dict[str, Any]]


@pytest.fixture
def twin(service: Service, database: str) -> Iterator[Service]:
    """A second process as far as the database can tell: an app with a pool and a memory of its own."""
    other = Service(database)
    other.runner = service.runner
    lifespan = other.app.router.lifespan_context(other.app)
    service.run(lifespan.__aenter__())
    yield other
    service.run(other.client.aclose())
    service.run(lifespan.__aexit__(None, None, None))


@pytest.fixture
def doors(service: Service, twin: Service) -> list[Service]:
    """Two processes, whose clients take turns."""
    return [service, twin]


@pytest.fixture
def kept(database: str) -> Callable[[str], list[Any]]:
    """What a query finds in the test's database."""

    def find(query: str) -> list[Any]:
        with psycopg.connect(database.replace("+psycopg", "")) as connection:
            return connection.execute(query).fetchall()

    return find


async def post(door: Service, events: Events) -> dict[str, Any]:
    answer = await door.client.post("/v1/events", json=events)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shuffled(random: Random, items: Iterable[Any]) -> list[Any]:
    return sorted(items, key=lambda _: random.random())


def batches(events: Events, *, size: int) -> Iterator[Events]:
    return (events[start : start + size] for start in range(0, len(events), size))


def everything(random: Random) -> Events:
    """Events of every kind that is counted or kept, many of them on the same keys."""
    events = []
    for account in ACCOUNTS:
        of = {"account": account}
        events += [session(seconds=60 * random.randint(1, 50), **of) for _ in range(20)]
        for _ in range(12):
            what = {"feature": random.choice("abcde"), "count": random.randint(1, 9)}
            events.append(event("feature.used", user="ada", at=f"2026-0{random.randint(1, 3)}-10", **what, **of))
        events += answers("nps", random.choices(range(11), k=10), channel=random.choice(["email", "web"]), **of)
        for day in range(1, 11):
            at = f"2026-02-{day:02}T08:00:00Z"
            events.append(moved(at=at, plan=random.choice(["free", "pro"]), seats=random.randint(1, 9), **of))
    return events


def sums(events: Events) -> dict[str, Counter[str]]:
    """What the service has to answer for each account, counted in the plainest way."""
    counted: dict[str, Counter[str]] = {account: Counter() for account in ACCOUNTS}
    for one in events:
        of, data = counted[one["account_id"]], one["data"]
        match one["type"]:
            case "session.ended":
                of.update(sessions=1, minutes=data["duration_seconds"] // 60)
            case "feature.used":
                of.update({"uses": data["count"], f"uses of {data['feature']}": data["count"]})
            case "survey.responded":
                of.update(answers=1, balance=(data["score"] >= 9) - (data["score"] <= 6))
    return counted


def answered(service: Service) -> dict[str, Counter[str]]:
    """The same, as the service answers it."""
    asked = {"period": "2026-Q1", "granularity": "total"}
    counted: dict[str, Counter[str]] = {account: Counter() for account in ACCOUNTS}
    for row in service.get("/v1/query", metrics="sessions,average_session_minutes,nps", group_by="account", **asked)[
        "rows"
    ]:
        of = counted[row["group"]["account"]]
        if row["metric"] == "sessions":
            of["sessions"] = row["value"]
        elif row["metric"] == "average_session_minutes":
            of["minutes"] = row["numerator"]
        else:
            of.update(answers=row["denominator"], balance=row["numerator"])
    for row in service.rows("feature_uses", group_by="account,subject", **asked):
        of = counted[row["group"]["account"]]
        of.update({"uses": row["value"], f"uses of {row['group']['subject']}": row["value"]})
    return counted


def attributes(events: Events) -> dict[str, dict[str, Any]]:
    """What is true of each account after all its updates."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in sorted(events, key=lambda one: one["occurred_at"]):
        if one["type"] == "account.updated":
            found[one["account_id"]] |= one["data"]["attributes"]
    return found


def deadlocks(*services: Service) -> int:
    """How often PostgreSQL had to break one up. Its processes count when they end."""
    for service in services:
        service.run(service.books.database.engine.dispose())
    with psycopg.connect(services[0].settings.database_url.get_secret_value().replace("+psycopg", "")) as connection:
        others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'csmetrics' AND datname = current_database()"
        until = time.monotonic() + PATIENCE
        while connection.execute(others).fetchone() != (0,) and time.monotonic() < until:
            connection.rollback()
            time.sleep(0.02)
        found = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    return found[0]


@pytest.mark.parametrize("processes", [1, 2])
def test_clients_that_post_and_retract_the_same_events_in_any_order_count_each_once(
    service: Service, twin: Service, processes: int
) -> None:
    doors = [service, twin][:processes]
    random = Random(1)
    events = everything(random)
    doomed = random.sample(events, 40)
    sent, said = Counter(), Counter()

    async def client(number: int) -> None:
        random, door = Random(number), doors[number % processes]
        own = [one for place, one in enumerate(events) if place % CLIENTS == number or random.random() < 0.5]
        for batch in batches(shuffled(random, own), size=40):
            poison = answers("nps", [11], random.choice(ACCOUNTS))[0]
            place = random.randint(0, len(batch))
            answer = await post(door, [*batch[:place], poison, *batch[place:]])
            assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(place, "score_out_of_range")]
            sent.update(len=len(batch))
            said.update(accepted=answer["accepted"], duplicates=answer["duplicates"])
            for one in random.sample(doomed, 3):
                answer = await door.client.delete(f"/v1/accounts/{one['account_id']}/events/{one['id']}")
                assert answer.status_code in (204, 404), answer.text

    service.gather(*(client(number) for number in range(CLIENTS)))
    for one in doomed:
        service.retract(one["account_id"], one["id"])
    kept = [one for one in events if one not in doomed]
    assert said == {"accepted": len(events), "duplicates": sent["len"] - len(events)}
    assert answered(service) == sums(kept)
    for account, known in attributes(kept).items():
        assert service.get(f"/v1/accounts/{account}")["attributes"] == known
    assert service.differences() == []
    assert deadlocks(service, twin) == 0


def test_one_batch_sent_by_all_in_different_orders_is_accepted_once(
    service: Service, doors: list[Service], kept: Callable[[str], list[Any]]
) -> None:
    events = everything(Random(2))
    said = service.gather(*(post(doors[n % 2], shuffled(Random(n), events)) for n in range(CLIENTS)))
    assert sum(answer["accepted"] for answer in said) == len(events)
    assert sum(answer["duplicates"] for answer in said) == (CLIENTS - 1) * len(events)
    assert answered(service) == sums(events)
    assert service.differences() == []
    assert deadlocks(*doors) == 0
    assert kept("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'event'") == [(0,)]


def test_of_different_events_with_one_id_the_first_wins_and_all_others_hear_of_the_conflict(
    service: Service, doors: list[Service]
) -> None:
    def version(number: int) -> Events:
        """A client's own version of everybody's ids; the seconds tell whose it is."""
        return [session(ACCOUNTS[n % 6], id=f"same-{n}", seconds=60 * (number + 1)) for n in range(50)]

    async def client(number: int) -> tuple[int, int]:
        answer = await doors[number % 2].client.post("/v1/events", json=shuffled(Random(number), version(number)))
        said = answer.json()
        assert answer.status_code == (200 if said["accepted"] else 422), answer.text
        assert {rejected["code"] for rejected in said["rejected"]} <= {"conflict"}
        return said["accepted"] * (number + 1), len(said["rejected"])

    won, lost = zip(*service.gather(*(client(number) for number in range(CLIENTS))), strict=True)
    assert sum(lost) == 50 * (CLIENTS - 1)
    assert service.value("sessions") == 50
    assert service.row("average_session_minutes")["numerator"] == sum(won)
    assert service.differences() == []


def test_an_answer_during_the_load_is_of_one_moment_and_has_all_that_was_acknowledged_before(
    service: Service, doors: list[Service]
) -> None:
    from_totals = {"period": "2026-Q1"}
    from_entries = {"start": "2026-02-05", "end": "2026-03-16"}
    from_both = {"start": "2026-02-05", "end": "2026-04-01"}
    asked = {"granularity": "total", "group_by": "account"}

    async def client(number: int) -> None:
        own = f"own-{number}"
        for round in range(1, 6):
            pair = [session("shared", at="2026-02-10"), session("shared", at="2026-03-10")]
            await post(doors[number % 2], [*pair, session(own)])
            for period in (from_totals, from_entries, from_both):
                answer = await doors[round % 2].client.get("/v1/metrics/sessions", params=asked | period)
                sessions = {row["group"]["account"]: row["value"] for row in answer.json()["rows"]}
                assert sessions[own] == round
                assert sessions["shared"] >= 2 * round
                assert sessions["shared"] % 2 == 0

    service.gather(*(client(number) for number in range(8)))


def test_first_answers_to_a_survey_are_all_read_by_the_definition_that_stands(
    service: Service, doors: list[Service]
) -> None:
    scores = [1, 2, 3, 5, 6, 7, 7]
    declared = {"kind": "ces", "scale": {"min": 1, "max": 7}}
    surveys = [f"effort-{number}" for number in range(8)]
    for survey in surveys:
        service.put(f"/v1/surveys/{survey}", declared | {"easy_is": "low"})

    async def change(survey: str, door: Service) -> None:
        for easy in ("high", "low", "high"):
            answer = await door.client.put(f"/v1/surveys/{survey}", json=declared | {"easy_is": easy})
            assert answer.status_code in (200, 409), answer.text

    async def answer(survey: str, number: int) -> None:
        await asyncio.sleep(number / 100)
        said = await post(doors[number % 2], answers(survey, scores, f"account-{number}"))
        assert said["accepted"] == len(scores)

    service.gather(
        *(change(survey, doors[-1]) for survey in surveys),
        *(answer(survey, number) for survey in surveys for number in range(4)),
    )
    easy = {"low": sum(score < 4 for score in scores), "high": sum(score > 4 for score in scores)}
    stands = {survey["id"]: survey["easy_is"] for survey in service.get("/v1/surveys")["surveys"]}
    for survey in surveys:
        row = service.row("ces_easy_rate", subject=survey)
        assert row["denominator"] == 4 * len(scores)
        assert row["numerator"] == 4 * easy[stands[survey]]
        assert service.request("PUT", f"/v1/surveys/{survey}", json=declared | {"easy_is": "low"}).status_code == (
            200 if stands[survey] == "low" else 409
        )
    assert service.differences() == []


def test_first_amounts_in_a_currency_are_all_converted_by_the_rate_that_stands(
    service: Service, doors: list[Service], kept: Callable[[str], list[Any]]
) -> None:
    currencies = [f"AA{letter}" for letter in "ABCDEFGH"]

    async def change(currency: str, door: Service) -> None:
        for rate in ("1.1", "1.2", "1.3"):
            body = {"currency": currency, "rates": {"2026-01-01": rate, "2026-02-01": rate}}
            answer = await door.client.put("/v1/exchange-rates", json=body)
            assert answer.status_code in (204, 409), answer.text

    async def buy(currency: str, number: int) -> None:
        await asyncio.sleep(number / 100)
        order = {"order_id": "order", "amount": "10", "currency": currency}
        said = await post(
            doors[number % 2],
            [event("purchase.completed", f"account-{number}", at=at, **order) for at in ("2026-01-10", "2026-02-10")],
        )
        assert said["accepted"] == 2

    for currency in currencies:
        service.put("/v1/exchange-rates", {"currency": currency, "rates": {"2026-01-01": "1", "2026-02-01": "1"}})
    service.gather(
        *(change(currency, doors[-1]) for currency in currencies),
        *(buy(currency, number) for currency in currencies for number in range(4)),
    )
    used = kept("SELECT data ->> 'currency', to_char(occurred_at, 'YYYY-MM-01'), rate::text FROM event")
    listed = service.get("/v1/exchange-rates")["exchange_rates"]
    stands = {(found["currency"], day, rate) for found in listed for day, rate in found["rates"].items()}
    assert Counter(used) == dict.fromkeys(stands, 4)


def test_of_puts_of_an_account_for_the_same_moment_exactly_one_stands(service: Service, doors: list[Service]) -> None:
    at = "2026-03-01T00:00:00Z"
    bodies = [{f"key{number}": number, "plan": f"plan{number}"} for number in range(8)]

    async def put(attributes: dict[str, Any], door: Service) -> None:
        answer = await door.client.put("/v1/accounts/acme", json={"attributes": attributes, "effective_at": at})
        assert answer.status_code == 200, answer.text

    for _ in range(3):
        service.gather(*(put(body, doors[n % 2]) for n, body in enumerate(bodies + bodies)))
        assert service.get("/v1/accounts/acme")["attributes"] in bodies
    service.gather(put(bodies[0], doors[0]))
    assert service.get("/v1/accounts/acme")["attributes"] == bodies[0]
    assert service.differences() == []


def test_a_retraction_counts_once_however_many_ask_for_it_and_send_the_event_again(
    service: Service, doors: list[Service]
) -> None:
    gone, stays = session("acme", seconds=60), session("acme", seconds=120)
    plan = moved("acme", plan="pro")
    service.send(gone, stays, plan)

    async def retract(number: int) -> None:
        for one in (gone, plan):
            answer = await doors[number % 2].client.delete(f"/v1/accounts/acme/events/{one['id']}")
            assert answer.status_code == 204, answer.text

    async def send_again(number: int) -> None:
        assert (await post(doors[number % 2], [gone, stays]))["duplicates"] == 2

    service.gather(*(retract(number) for number in range(8)), *(send_again(number) for number in range(8)))
    assert service.value("sessions") == 1
    assert service.row("average_session_minutes")["numerator"] == 2
    assert service.get("/v1/accounts/acme")["attributes"] == {}
    assert service.differences() == []


def test_rebuilding_and_verifying_disturb_nobody_and_find_nothing_while_events_come_in(
    service: Service, twin: Service
) -> None:
    posting = True
    random = Random(3)
    known = everything(random)
    service.send(*known)

    async def client(number: int) -> Events:
        sent = []
        for round in range(6):
            batch = [session(account, seconds=60) for account in ACCOUNTS]
            new = {"feature": f"new-{number}-{round}", "count": 1}  # a word that the twin has never met
            batch += [event("feature.used", account, user="ada", **new) for account in ACCOUNTS]
            batch.append(
                moved(random.choice(ACCOUNTS), at=f"2026-01-01T{number:02}:{round:02}:00Z", **{f"n{number}": round})
            )
            await post(service, shuffled(random, batch))
            sent += batch
        return sent

    async def clients() -> Events:
        nonlocal posting
        sent = await asyncio.gather(*(client(number) for number in range(8)))
        posting = False
        return [one for batch in sent for one in batch]

    async def keep(work: Callable[[Any], Any], books: Any) -> None:
        while posting:
            assert [step async for step in work(books) if isinstance(step, Difference)] == []

    sent, *_ = service.gather(
        clients(), keep(rebuild, service.books), keep(rebuild, twin.books), keep(verify, twin.books)
    )
    assert answered(service) == sums(known + sent)
    assert service.differences() == twin.differences() == []


def test_rebuilding_gets_by_with_one_connection(service: Service, start: Callable[..., Service]) -> None:
    service.send(*everything(Random(4)))
    narrow = start(pool_size=1)

    async def rebuilt() -> int:
        return sum([step.events async for step in rebuild(narrow.books)])

    assert narrow.run(rebuilt()) > 0
    assert narrow.differences() == []


def test_of_services_that_start_together_one_makes_the_first_key(
    service: Service, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    starting = [Service(database, admin_key=None, migrate_on_start=False) for _ in range(4)]
    lifespans = [other.app.router.lifespan_context(other.app) for other in starting]
    service.gather(*(lifespan.__aenter__() for lifespan in lifespans))
    service.gather(*(lifespan.__aexit__(None, None, None) for lifespan in lifespans))
    [said] = capsys.readouterr().out.splitlines()
    key = {"Authorization": f"Bearer {said.split()[-1]}"}
    assert len(service.request("GET", "/v1/keys", headers=key).json()["keys"]) == 1
