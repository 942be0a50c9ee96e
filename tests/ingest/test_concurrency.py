"""Many clients at the same time: each event counts once, in whatever order requests meet, and no client sees a 5xx."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import psycopg
import pytest

from app.ledger.rebuild import rebuild
from app.ledger.verify import Difference, verify
from tests.support.service import PATIENCE, Service, account_update, event, session, survey_responses

pytestmark = pytest.mark.own_database

ACCOUNTS = [f"account-{number}" for number in range(6)]
CLIENTS = 16

Events = list[dict[str, Any]]


@pytest.fixture
def second_service(service: Service, database: str) -> Iterator[Service]:
    """Start a second application on the same database, with its own pool and caches, as a second process would be."""
    other = Service(database)
    other.runner = service.runner
    lifespan = other.app.router.lifespan_context(other.app)
    service.run(lifespan.__aenter__())
    yield other
    service.run(other.client.aclose())
    service.run(lifespan.__aexit__(None, None, None))


@pytest.fixture
def services(service: Service, second_service: Service) -> list[Service]:
    """Return two applications on one database; the clients of a test are spread over them."""
    return [service, second_service]


async def post(target: Service, events: Events) -> dict[str, Any]:
    answer = await target.client.post("/v1/events", json=events)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shuffle(random: Random, items: Iterable[Any]) -> list[Any]:
    return sorted(items, key=lambda _: random.random())


def split_batches(events: Events, *, size: int) -> Iterator[Events]:
    return (events[start : start + size] for start in range(0, len(events), size))


def mixed_events(random: Random) -> Events:
    """Return events of every kind that is counted or stored, many of them with the same ledger keys."""
    events = []
    for account in ACCOUNTS:
        owner = {"account": account}
        events += [session(seconds=60 * random.randint(1, 50), **owner) for _ in range(20)]
        for _ in range(12):
            usage = {"feature": random.choice("abcde"), "count": random.randint(1, 9)}
            events.append(event("feature.used", user="ada", at=f"2026-0{random.randint(1, 3)}-10", **usage, **owner))
        events += survey_responses(
            "nps", random.choices(range(11), k=10), channel=random.choice(["email", "web"]), **owner
        )
        for day in range(1, 11):
            at = f"2026-02-{day:02}T08:00:00Z"
            events.append(
                account_update(at=at, plan=random.choice(["free", "pro"]), seats=random.randint(1, 9), **owner)
            )
    return events


def expected_counts(events: Events) -> dict[str, Counter[str]]:
    """Return the counts that the service must answer for each account, computed in the simplest way."""
    counts_by_account: dict[str, Counter[str]] = {account: Counter() for account in ACCOUNTS}
    for sent in events:
        counts, data = counts_by_account[sent["account_id"]], sent["data"]
        match sent["type"]:
            case "session.ended":
                counts.update(sessions=1, minutes=data["duration_seconds"] // 60)
            case "feature.used":
                counts.update({"uses": data["count"], f"uses of {data['feature']}": data["count"]})
            case "survey.responded":
                counts.update(answers=1, balance=(data["score"] >= 9) - (data["score"] <= 6))
    return counts_by_account


def load_counts(service: Service) -> dict[str, Counter[str]]:
    """Return the same counts as the service answers them."""
    parameters = {"period": "2026-Q1", "granularity": "total"}
    counts_by_account: dict[str, Counter[str]] = {account: Counter() for account in ACCOUNTS}
    for row in service.get(
        "/v1/query", metrics="sessions,average_session_minutes,nps", group_by="account", **parameters
    )["rows"]:
        counts = counts_by_account[row["group"]["account"]]
        if row["metric"] == "sessions":
            counts["sessions"] = row["value"]
        elif row["metric"] == "average_session_minutes":
            counts["minutes"] = row["numerator"]
        else:
            counts.update(answers=row["denominator"], balance=row["numerator"])
    for row in service.rows("feature_uses", group_by="account,subject", **parameters):
        counts = counts_by_account[row["group"]["account"]]
        counts.update({"uses": row["value"], f"uses of {row['group']['subject']}": row["value"]})
    return counts_by_account


def expected_attributes(events: Events) -> dict[str, dict[str, Any]]:
    """Return the attributes of each account after all its updates."""
    by_account: dict[str, dict[str, Any]] = defaultdict(dict)
    for sent in sorted(events, key=lambda sent: sent["occurred_at"]):
        if sent["type"] == "account.updated":
            by_account[sent["account_id"]] |= sent["data"]["attributes"]
    return by_account


def count_deadlocks(*services: Service) -> int:
    """Return how many deadlocks PostgreSQL has resolved. Its processes report them when they end."""
    for service in services:
        service.run(service.books.database.dispose())
    with psycopg.connect(services[0].settings.database_url.get_secret_value().replace("+psycopg", "")) as connection:
        other_connections = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name = 'csmetrics' AND datname = current_database()"
        )
        deadline = time.monotonic() + PATIENCE
        while connection.execute(other_connections).fetchone() != (0,) and time.monotonic() < deadline:
            connection.rollback()
            time.sleep(0.02)
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    return row[0]


@pytest.mark.parametrize("processes", [1, 2])
def test_clients_that_post_and_retract_the_same_events_in_any_order_count_each_once(
    service: Service, second_service: Service, processes: int
) -> None:
    services = [service, second_service][:processes]
    random = Random(1)
    events = mixed_events(random)
    retracted_events = random.sample(events, 40)
    sent_counts, reported = Counter(), Counter()

    async def client(number: int) -> None:
        random, target = Random(number), services[number % processes]
        own_events = [
            item for position, item in enumerate(events) if position % CLIENTS == number or random.random() < 0.5
        ]
        for batch in split_batches(shuffle(random, own_events), size=40):
            invalid_event = survey_responses("nps", [11], random.choice(ACCOUNTS))[0]
            position = random.randint(0, len(batch))
            answer = await post(target, [*batch[:position], invalid_event, *batch[position:]])
            assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(position, "score_out_of_range")]
            sent_counts.update(len=len(batch))
            reported.update(accepted=answer["accepted"], duplicates=answer["duplicates"])
            for retracted in random.sample(retracted_events, 3):
                answer = await target.client.delete(f"/v1/accounts/{retracted['account_id']}/events/{retracted['id']}")
                assert answer.status_code in (204, 404), answer.text

    service.gather(*(client(number) for number in range(CLIENTS)))
    for retracted in retracted_events:
        service.retract(retracted["account_id"], retracted["id"])
    remaining = [item for item in events if item not in retracted_events]
    assert reported == {"accepted": len(events), "duplicates": sent_counts["len"] - len(events)}
    assert load_counts(service) == expected_counts(remaining)
    for account, current in expected_attributes(remaining).items():
        assert service.get(f"/v1/accounts/{account}")["attributes"] == current
    assert service.differences() == []
    assert count_deadlocks(service, second_service) == 0


def test_one_batch_sent_by_all_in_different_orders_is_accepted_once(
    service: Service, services: list[Service], query_database: Callable[[str], list[Any]]
) -> None:
    events = mixed_events(Random(2))
    replies = service.gather(*(post(services[n % 2], shuffle(Random(n), events)) for n in range(CLIENTS)))
    assert sum(answer["accepted"] for answer in replies) == len(events)
    assert sum(answer["duplicates"] for answer in replies) == (CLIENTS - 1) * len(events)
    assert load_counts(service) == expected_counts(events)
    assert service.differences() == []
    assert count_deadlocks(*services) == 0
    assert query_database("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'event'") == [(0,)]


def test_the_first_of_different_events_with_one_id_wins_and_the_others_are_conflicts(
    service: Service, services: list[Service]
) -> None:
    def version(number: int) -> Events:
        """Return events with the ids that all clients use; the seconds show which client sent them."""
        return [session(ACCOUNTS[n % 6], id=f"same-{n}", seconds=60 * (number + 1)) for n in range(50)]

    async def client(number: int) -> tuple[int, int]:
        answer = await services[number % 2].client.post("/v1/events", json=shuffle(Random(number), version(number)))
        reply = answer.json()
        assert answer.status_code == (200 if reply["accepted"] else 422), answer.text
        assert {rejected["code"] for rejected in reply["rejected"]} <= {"conflict"}
        return reply["accepted"] * (number + 1), len(reply["rejected"])

    won, lost = zip(*service.gather(*(client(number) for number in range(CLIENTS))), strict=True)
    assert sum(lost) == 50 * (CLIENTS - 1)
    assert service.value("sessions") == 50
    assert service.row("average_session_minutes")["numerator"] == sum(won)
    assert service.differences() == []


def test_an_answer_during_the_load_is_of_one_moment_and_has_all_that_was_acknowledged_before(
    service: Service, services: list[Service]
) -> None:
    from_totals = {"period": "2026-Q1"}
    from_entries = {"start": "2026-02-05", "end": "2026-03-16"}
    from_both = {"start": "2026-02-05", "end": "2026-04-01"}
    parameters = {"granularity": "total", "group_by": "account"}

    async def client(number: int) -> None:
        account = f"own-{number}"
        for round in range(1, 6):
            pair = [session("shared", at="2026-02-10"), session("shared", at="2026-03-10")]
            await post(services[number % 2], [*pair, session(account)])
            for period in (from_totals, from_entries, from_both):
                answer = await services[round % 2].client.get("/v1/metrics/sessions", params=parameters | period)
                sessions = {row["group"]["account"]: row["value"] for row in answer.json()["rows"]}
                assert sessions[account] == round
                assert sessions["shared"] >= 2 * round
                assert sessions["shared"] % 2 == 0

    service.gather(*(client(number) for number in range(8)))


def test_first_responses_to_a_survey_are_all_read_by_the_declaration_that_remains(
    service: Service, services: list[Service]
) -> None:
    scores = [1, 2, 3, 5, 6, 7, 7]
    declared = {"kind": "ces", "scale": {"min": 1, "max": 7}}
    surveys = [f"effort-{number}" for number in range(8)]
    for survey in surveys:
        service.put(f"/v1/surveys/{survey}", declared | {"easy_is": "low"})

    async def change(survey: str, target: Service) -> None:
        for easy in ("high", "low", "high"):
            answer = await target.client.put(f"/v1/surveys/{survey}", json=declared | {"easy_is": easy})
            assert answer.status_code in (200, 409), answer.text

    async def answer(survey: str, number: int) -> None:
        await asyncio.sleep(number / 100)
        reply = await post(services[number % 2], survey_responses(survey, scores, f"account-{number}"))
        assert reply["accepted"] == len(scores)

    service.gather(
        *(change(survey, services[-1]) for survey in surveys),
        *(answer(survey, number) for survey in surveys for number in range(4)),
    )
    easy = {"low": sum(score < 4 for score in scores), "high": sum(score > 4 for score in scores)}
    easy_ends = {survey["id"]: survey["easy_is"] for survey in service.get("/v1/surveys")["surveys"]}
    for survey in surveys:
        row = service.row("ces_easy_rate", subject=survey)
        assert row["denominator"] == 4 * len(scores)
        assert row["numerator"] == 4 * easy[easy_ends[survey]]
        assert service.request("PUT", f"/v1/surveys/{survey}", json=declared | {"easy_is": "low"}).status_code == (
            200 if easy_ends[survey] == "low" else 409
        )
    assert service.differences() == []


def test_first_amounts_in_a_currency_are_all_converted_at_the_rate_that_remains(
    service: Service, services: list[Service], query_database: Callable[[str], list[Any]]
) -> None:
    currencies = [f"AA{letter}" for letter in "ABCDEFGH"]

    async def change(currency: str, target: Service) -> None:
        for rate in ("1.1", "1.2", "1.3"):
            body = {"currency": currency, "rates": {"2026-01-01": rate, "2026-02-01": rate}}
            answer = await target.client.put("/v1/exchange-rates", json=body)
            assert answer.status_code in (204, 409), answer.text

    async def buy(currency: str, number: int) -> None:
        await asyncio.sleep(number / 100)
        order = {"order_id": "order", "amount": "10", "currency": currency}
        reply = await post(
            services[number % 2],
            [event("purchase.completed", f"account-{number}", at=at, **order) for at in ("2026-01-10", "2026-02-10")],
        )
        assert reply["accepted"] == 2

    for currency in currencies:
        service.put("/v1/exchange-rates", {"currency": currency, "rates": {"2026-01-01": "1", "2026-02-01": "1"}})
    service.gather(
        *(change(currency, services[-1]) for currency in currencies),
        *(buy(currency, number) for currency in currencies for number in range(4)),
    )
    used_rates = query_database("SELECT data ->> 'currency', to_char(occurred_at, 'YYYY-MM-01'), rate::text FROM event")
    listings = service.get("/v1/exchange-rates")["exchange_rates"]
    listed_rates = {(listing["currency"], day, rate) for listing in listings for day, rate in listing["rates"].items()}
    assert Counter(used_rates) == dict.fromkeys(listed_rates, 4)


def test_exactly_one_of_concurrent_puts_of_an_account_for_one_moment_remains(
    service: Service, services: list[Service]
) -> None:
    at = "2026-03-01T00:00:00Z"
    bodies = [{f"key{number}": number, "plan": f"plan{number}"} for number in range(8)]

    async def put(values: dict[str, Any], target: Service) -> None:
        answer = await target.client.put("/v1/accounts/acme", json={"attributes": values, "effective_at": at})
        assert answer.status_code == 200, answer.text

    for _ in range(3):
        service.gather(*(put(body, services[n % 2]) for n, body in enumerate(bodies + bodies)))
        assert service.get("/v1/accounts/acme")["attributes"] in bodies
    service.gather(put(bodies[0], services[0]))
    assert service.get("/v1/accounts/acme")["attributes"] == bodies[0]
    assert service.differences() == []


def test_an_event_that_many_clients_retract_and_send_again_is_retracted_once(
    service: Service, services: list[Service]
) -> None:
    retracted_session, other_session = session("acme", seconds=60), session("acme", seconds=120)
    update = account_update("acme", plan="pro")
    service.send(retracted_session, other_session, update)

    async def retract(number: int) -> None:
        for retracted in (retracted_session, update):
            answer = await services[number % 2].client.delete(f"/v1/accounts/acme/events/{retracted['id']}")
            assert answer.status_code == 204, answer.text

    async def send_again(number: int) -> None:
        assert (await post(services[number % 2], [retracted_session, other_session]))["duplicates"] == 2

    service.gather(*(retract(number) for number in range(8)), *(send_again(number) for number in range(8)))
    assert service.value("sessions") == 1
    assert service.row("average_session_minutes")["numerator"] == 2
    assert service.get("/v1/accounts/acme")["attributes"] == {}
    assert service.differences() == []


def test_rebuild_and_verify_find_no_difference_while_events_come_in(service: Service, second_service: Service) -> None:
    posting = True
    random = Random(3)
    first_events = mixed_events(random)
    service.send(*first_events)

    async def client(number: int) -> Events:
        sent_events = []
        for round in range(6):
            batch = [session(account, seconds=60) for account in ACCOUNTS]
            new = {"feature": f"new-{number}-{round}", "count": 1}  # a label that the second service has not seen
            batch += [event("feature.used", account, user="ada", **new) for account in ACCOUNTS]
            batch.append(
                account_update(
                    random.choice(ACCOUNTS), at=f"2026-01-01T{number:02}:{round:02}:00Z", **{f"n{number}": round}
                )
            )
            await post(service, shuffle(random, batch))
            sent_events += batch
        return sent_events

    async def clients() -> Events:
        nonlocal posting
        sent_events = await asyncio.gather(*(client(number) for number in range(8)))
        posting = False
        return [sent_event for batch in sent_events for sent_event in batch]

    async def keep_running(work: Callable[[Any], Any], books: Any) -> None:
        while posting:
            assert [step async for step in work(books) if isinstance(step, Difference)] == []

    sent_events, *_ = service.gather(
        clients(),
        keep_running(rebuild, service.books),
        keep_running(rebuild, second_service.books),
        keep_running(verify, second_service.books),
    )
    assert load_counts(service) == expected_counts(first_events + sent_events)
    assert service.differences() == second_service.differences() == []


def test_rebuild_needs_one_connection_only(service: Service, start_service: Callable[..., Service]) -> None:
    service.send(*mixed_events(Random(4)))
    narrow = start_service(pool_size=1)

    async def rebuilt() -> int:
        return sum([step.events async for step in rebuild(narrow.books)])

    assert narrow.run(rebuilt()) > 0
    assert narrow.differences() == []


def test_services_that_start_at_the_same_time_create_one_first_key(
    service: Service, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    services = [Service(database, admin_key=None, migrate_on_start=False) for _ in range(4)]
    lifespans = [other.app.router.lifespan_context(other.app) for other in services]
    service.gather(*(lifespan.__aenter__() for lifespan in lifespans))
    service.gather(*(lifespan.__aexit__(None, None, None) for lifespan in lifespans))
    [secret] = set(re.findall(r"csm_[\w-]+", capsys.readouterr().out))
    key = {"Authorization": f"Bearer {secret}"}
    assert len(service.request("GET", "/v1/keys", headers=key).json()["keys"]) == 1
