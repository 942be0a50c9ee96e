"""Acknowledged events survive kills of the service and of PostgreSQL, unavailable databases and interrupted connections."""

import asyncio
import os
import shutil
import signal
import struct
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from app.core.errors import Unavailable
from app.embedded import server as embedded
from tests.support.command import run_command
from tests.support.processes import (
    SOCKET,
    Postgres,
    Process,
    Writer,
    check_unavailable,
    count_events,
    until,
)
from tests.support.service import PATIENCE, Service, session

pytestmark = pytest.mark.own_database

# --- Killed processes ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """The DATA_DIR of a PostgreSQL of this module."""
    folder = Path(tempfile.mkdtemp(prefix="csm-crashes-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "data"
    embedded.start_server(folder / "data").stop()
    shutil.rmtree(folder)


ROUNDS = ["service", "backend", "postmaster", "start", "backend", "both"]


def test_kills_of_services_and_postgres_neither_lose_nor_double_acknowledged_events(data_dir: Path) -> None:
    random = Random(1)
    postgres = Postgres(data_dir)

    async def kill(victim: str, services: list[Process]) -> None:
        if victim == "backend":
            postgres.kill_backend(random)
            return
        if victim == "postmaster":
            postgres.kill_postmaster()
        processes = services if victim == "both" else [random.choice(services)]
        for process in processes:
            process.kill()
            process.start()
        if victim == "start":
            await asyncio.sleep(random.random())
            processes[0].kill()
            processes[0].start()

    async def run() -> tuple[list[Writer], dict[str, int]]:
        services = [Process(data_dir, number=number) for number in range(2)]
        try:
            for service in services:
                await service.wait_until_ready()
            writers, stop = [Writer(number, services) for number in range(4)], asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for writer in writers:
                    tasks.create_task(writer.write(stop))
                for victim in ROUNDS:
                    before = sum(len(writer.acknowledged) for writer in writers)
                    await until(lambda least=before + 20: sum(len(w.acknowledged) for w in writers) >= least)
                    await kill(victim, services)
                    for service in services:
                        await service.wait_until_ready()
                stop.set()
            counts = await count_events(services[0])
            for service in services:
                await service.end()
            return writers, counts
        finally:
            for service in services:
                service.kill()

    writers, counts = asyncio.run(run())
    acknowledged = {name: size for writer in writers for name, size in writer.acknowledged.items()}
    given_up = {name: size for writer in writers for name, size in writer.given_up.items()}
    assert {name: counts.pop(name, 0) for name in acknowledged} == acknowledged
    assert counts == {name: given_up[name] for name in counts}
    result = run_command("verify", "--processes", "1", folder=data_dir.parent, DATA_DIR=str(data_dir))
    assert result.stdout.startswith("0 differences in ")


def test_a_service_restarts_its_embedded_postgres_when_it_was_killed(data_dir: Path) -> None:
    postgres = Postgres(data_dir)

    def is_restarted() -> bool:
        # What is left of the killed server still answers for a moment, so a service that is ready does not prove it.
        with suppress(FileNotFoundError, IndexError, ValueError):
            return postgres.postmaster != first and service.request("GET", "/readyz").status_code == 200
        return False

    with Service(None, data_dir=data_dir).open() as service:
        service.send(session())
        first = postgres.postmaster
        postgres.kill_postmaster()
        deadline = time.monotonic() + PATIENCE
        while not is_restarted():
            assert time.monotonic() < deadline
            service.run(asyncio.sleep(0.1))
        assert service.value("sessions") == 1


# --- An unavailable database --------------------------------------------------------------------------------------------


class Database:
    """A PostgreSQL of its own, which can be stopped and started while a service runs."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.up()
        with psycopg.connect(self.server.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS away")
            connection.execute("CREATE DATABASE away")
        self.url = sa.make_url(self.server.url).set(database="away").render_as_string()

    def up(self) -> None:
        self.server = embedded.start_server(self.data_dir)

    def down(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT, fast; SIGQUIT, as `pg_ctl stop -m immediate`; SIGKILL, like a crash."""
        os.kill(int((self.data_dir / "cluster/postmaster.pid").read_text().split()[0]), how)
        self.server.stop()


@pytest.fixture
def external(data_dir: Path) -> Iterator[Database]:
    """A running PostgreSQL, stopped afterwards."""
    database = Database(data_dir)
    yield database
    database.server.stop()


async def write_on(service: Service, number: int, statuses: list[int], stop: asyncio.Event) -> None:
    """Send sessions one by one, each until it is acknowledged."""
    while not stop.is_set():
        body = session(f"account-{number % 3}", seconds=60)
        while True:
            answer = await service.client.post("/v1/events", json=body)
            statuses.append(answer.status_code)
            if answer.is_success:
                break
            check_unavailable(answer)
            await asyncio.sleep(0.05)


async def check_that_only_the_process_is_healthy(service: Service) -> None:
    assert (await service.client.get("/healthz")).status_code == 200
    for method, path, body in (
        ("GET", "/readyz", None),
        ("GET", "/v1/metrics/sessions", None),
        ("GET", "/v1/accounts/acme", None),
        ("GET", "/v1/surveys", None),
        ("PUT", "/v1/surveys/nps", {"kind": "nps", "scale": {"min": 0, "max": 10}}),
        ("PUT", "/v1/accounts/acme", {"attributes": {"plan": "pro"}}),
        ("DELETE", "/v1/accounts/acme/events/one", None),
        ("POST", "/v1/keys", {"name": "new", "scopes": ["read"]}),
    ):
        check_unavailable(await service.client.request(method, path, json=body))
    stranger = {"Authorization": "Bearer csm_not_known_to_the_settings"}
    check_unavailable(await service.client.get("/v1/surveys", headers=stranger))


def test_while_the_database_is_unavailable_requests_get_503_and_recover_with_it(external: Database) -> None:
    async def run(service: Service) -> int:
        stop = asyncio.Event()
        statuses: list[list[int]] = [[] for _ in range(8)]
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(write_on(service, number, statuses[number], stop))
            for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                await until(lambda: all(last[-3:] == [200, 200, 200] for last in statuses))
                assert (await service.client.get("/readyz")).status_code == 200
                await asyncio.to_thread(external.down, how)
                await until(lambda: all(last[-1] == 503 for last in statuses))
                await check_that_only_the_process_is_healthy(service)
                await asyncio.to_thread(external.up)
            await until(lambda: all(last[-3:] == [200, 200, 200] for last in statuses))
            stop.set()
        return sum(client.count(200) for client in statuses)

    with Service(external.url).open() as service:
        acknowledged = service.run(run(service))
        assert service.value("sessions") == acknowledged
        assert service.differences() == []


def test_a_start_waits_for_the_database(external: Database) -> None:
    async def run(service: Service) -> None:
        lifespan = service.app.router.lifespan_context(service.app)
        starting = asyncio.create_task(lifespan.__aenter__())
        await asyncio.wait({starting}, timeout=1)
        assert not starting.done()
        await asyncio.to_thread(external.up)
        async with asyncio.timeout(PATIENCE):
            await starting
        assert (await service.client.get("/readyz")).status_code == 200
        await service.client.aclose()
        await lifespan.__aexit__(None, None, None)

    external.down()
    asyncio.run(run(Service(external.url)))


def test_a_start_fails_after_the_time_of_the_settings(external: Database) -> None:
    external.down()
    with pytest.raises(Unavailable), Service(external.url, database_wait_seconds=0).open():
        pass


# --- Interrupted connections --------------------------------------------------------------------------------------------


@pytest.fixture
def ask(database: str) -> Iterator[Callable[..., list[Any]]]:
    """Run a statement in the test's database, on a connection of its own."""
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:

        def ask(statement: str) -> list[Any]:
            result = connection.execute(statement)
            return result.fetchall() if result.description else []

        yield ask


OF_THE_SERVICE = "FROM pg_stat_activity WHERE application_name = 'csmetrics' AND datname = current_database()"


def test_connections_that_died_in_the_pool_are_noticed_by_no_client(
    service: Service, ask: Callable[..., list[Any]]
) -> None:
    def requests() -> list[Awaitable[httpx.Response]]:
        reads = [service.client.get("/v1/metrics/sessions") for _ in range(8)]
        return [*reads, *(service.client.post("/v1/events", json=session()) for _ in range(8))]

    for _ in range(3):
        assert {answer.status_code for answer in service.gather(*requests())} == {200}
        assert len(ask(f"SELECT pg_terminate_backend(pid) {OF_THE_SERVICE}")) > 1
        service.gather(until(lambda: not ask(f"SELECT 1 {OF_THE_SERVICE}")))
    assert {answer.status_code for answer in service.gather(*requests())} == {200}
    assert service.value("sessions") == 32


def test_connections_cut_in_the_middle_of_the_load_are_noticed_by_no_client(
    service: Service, ask: Callable[..., list[Any]]
) -> None:
    statuses: list[int] = []
    stop = asyncio.Event()

    async def cut() -> None:
        for _ in range(50):
            enough = len(statuses) + 4
            await until(lambda enough=enough: len(statuses) >= enough, every=0.001)
            ask(f"SELECT pg_terminate_backend(pid) {OF_THE_SERVICE} ORDER BY state = 'idle', random() LIMIT 1")
        stop.set()

    service.gather(cut(), *(write_on(service, number, statuses, stop) for number in range(8)))
    assert set(statuses) == {200}
    assert service.value("sessions") == len(statuses)
    assert service.differences() == []


def test_a_start_waits_while_postgres_starts_or_recovers(database: str) -> None:
    states = ["is starting up", "is in recovery mode", "is not yet accepting connections", "is shutting down"]
    url = sa.make_url(database)
    answers: list[str] = []

    async def answer_not_ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a client as PostgreSQL does in one of these states."""
        await reader.read(1024)
        answers.append(states[len(answers) % len(states)])
        fields = f"SFATAL\0VFATAL\0C57P03\0Mthe database system {answers[-1]}\0\0".encode()
        writer.write(struct.pack("!ci", b"E", 4 + len(fields)) + fields)
        writer.close()

    async def run(folder: Path) -> None:
        service = Service(url.update_query_dict({"host": str(folder)}).render_as_string())
        lifespan = service.app.router.lifespan_context(service.app)
        async with await asyncio.start_unix_server(answer_not_ready, folder / SOCKET):
            starting = asyncio.create_task(lifespan.__aenter__())
            await until(lambda: len(answers) >= len(states) or starting.done())
            assert not starting.done()
        (folder / SOCKET).unlink()
        (folder / SOCKET).symlink_to(f"{url.query['host']}/{SOCKET}")
        async with asyncio.timeout(PATIENCE):
            await starting
        assert (await service.client.get("/readyz")).status_code == 200
        await service.client.aclose()
        await lifespan.__aexit__(None, None, None)

    with tempfile.TemporaryDirectory(prefix="csm-wire-", dir="/tmp") as folder:
        asyncio.run(run(Path(folder)))


class Proxy:
    """A proxy between the service and PostgreSQL, which interrupts connections at a COMMIT."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.commits = self.cuts = 0

    @asynccontextmanager
    async def listen(self, path: Path) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self.serve, path)
        try:
            yield
        finally:
            server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self.target)
        back = asyncio.create_task(self.pump(server_reader, writer))
        try:
            while data := await reader.read(2**16):
                cut = b"COMMIT" in data and self.lost_part()
                if cut == "answer":
                    back.cancel()
                    await asyncio.wait([back])
                if cut != "request":
                    server_writer.write(data)
                    await server_writer.drain()
                if cut == "answer":
                    await server_reader.readuntil(b"COMMIT")  # it is committed, but the service does not know
                if cut:
                    break
        except ConnectionError:
            pass
        finally:
            back.cancel()
            server_writer.close()
            writer.close()

    def lost_part(self) -> str:
        """Return which part of a COMMIT gets lost: of every fifth one, the request or the answer; else an empty text."""
        self.commits += 1
        if self.commits % 5:
            return ""
        self.cuts += 1
        return "request" if self.cuts % 2 else "answer"

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        writer.close()


def test_a_commit_with_a_lost_answer_is_repeated_without_counting_twice(database: str) -> None:
    url = sa.make_url(database)
    proxy = Proxy(f"{url.query['host']}/{SOCKET}")

    async def run(folder: Path) -> Counter[str]:
        counts: Counter[str] = Counter()
        service = Service(url.update_query_dict({"host": str(folder)}).render_as_string())
        lifespan = service.app.router.lifespan_context(service.app)
        async with proxy.listen(folder / SOCKET), lifespan, service.client:
            for number in range(60):
                answer = await service.client.post("/v1/events", json=[session(), session(f"account-{number}")])
                assert answer.status_code == 200, answer.text
                counts.update({name: answer.json()[name] for name in ("accepted", "duplicates")})
            for number in range(10):
                body = {"name": f"key-{number}", "scopes": ["read"]}
                assert (await service.client.post("/v1/keys", json=body)).status_code == 201
        return counts

    with tempfile.TemporaryDirectory(prefix="csm-wire-", dir="/tmp") as folder:
        counts = asyncio.run(run(Path(folder)))
    assert proxy.cuts > 10
    assert counts.total() == 120
    with Service(database).open() as direct:
        assert direct.value("sessions") == 120
        assert direct.differences() == []
        assert len(direct.get("/v1/keys")["keys"]) == 10


@pytest.mark.parametrize(
    "state",
    [
        pytest.param("40P01", id="deadlock"),
        pytest.param("53100", id="disk-full"),
        pytest.param("25006", id="a-standby-after-a-failover"),
        pytest.param("57P03", id="cannot-connect-now"),
    ],
)
def test_a_temporary_failure_of_postgres_is_a_503(service: Service, ask: Callable[..., list[Any]], state: str) -> None:
    ask(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE SQLSTATE '{state}'; END$$")
    ask("CREATE TRIGGER fail BEFORE INSERT ON entry EXECUTE FUNCTION fail()")
    body = session()
    check_unavailable(service.request("POST", "/v1/events", json=body))
    ask("DROP TRIGGER fail ON entry")
    assert service.send(body)["accepted"] == 1
    assert service.value("sessions") == 1


def test_a_database_that_accepts_no_writes_answers_questions_also_of_a_key_that_was_not_used_today(
    service: Service, ask: Callable[..., list[Any]]
) -> None:
    new_key = service.request("POST", "/v1/keys", json={"name": "reader", "scopes": ["read"]}).json()["key"]
    ask("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE SQLSTATE '25006'; END$$")
    ask("CREATE TRIGGER fail BEFORE UPDATE ON api_key EXECUTE FUNCTION fail()")
    headers = {"Authorization": f"Bearer {new_key}"}
    assert service.request("GET", "/v1/metrics/sessions", headers=headers).status_code == 200


def test_a_deadlock_is_run_again_and_noticed_by_no_client(service: Service, ask: Callable[..., list[Any]]) -> None:
    ask("CREATE SEQUENCE tries")
    body = "IF nextval('tries') <= 3 THEN RAISE SQLSTATE '40P01'; END IF; RETURN NEW;"
    ask(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$")
    ask("CREATE TRIGGER fail BEFORE INSERT ON entry EXECUTE FUNCTION fail()")
    assert service.send(session())["accepted"] == 1
    assert service.value("sessions") == 1


def test_when_all_connections_for_writes_are_busy_others_get_503_and_questions_are_answered(
    start_service: Callable[..., Service], ask: Callable[..., list[Any]]
) -> None:
    service = start_service(pool_size=1)
    service.send(session())
    new_key = service.request("POST", "/v1/keys", json={"name": "reader", "scopes": ["read"]}).json()["key"]
    key = {"Authorization": f"Bearer {new_key}"}

    async def run() -> None:
        ask("BEGIN")
        ask("LOCK account")
        first = asyncio.create_task(service.client.post("/v1/events", json=session()))
        waiting = f"SELECT 1 {OF_THE_SERVICE} AND wait_event_type = 'Lock'"
        await until(lambda: ask(waiting))
        check_unavailable(await service.client.post("/v1/keys", json={"name": "late", "scopes": ["read"]}))
        # Neither the key nor the last day, which questions need first, is read with a connection of the writes.
        paths = ("/v1/metrics/sessions", "/v1/segments", "/v1/surveys", "/readyz", "/healthz")
        answers = [await service.client.get(path, headers=key) for path in paths]
        assert [answer.status_code for answer in answers] == [200] * len(paths)
        ask("COMMIT")
        assert (await first).status_code == 200
        assert (await service.client.get("/readyz")).status_code == 200

    service.gather(run())
    assert service.value("sessions") == 2
