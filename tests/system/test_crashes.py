"""What was acknowledged survives: kills of the service and of PostgreSQL, databases that go away, cut connections."""

import asyncio
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from app.core.errors import Unavailable
from app.embedded import server as embedded
from app.http.problems import PROBLEM_JSON
from tests.support.service import ADMIN_KEY, PATIENCE, Service, event, session

pytestmark = pytest.mark.own_database

# Nothing of the developer's settings reaches the processes: neither the environment nor a .env file.
APART = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
CSMETRICS = [sys.executable, "-c", "from app.cli.main import main; main()"]
SOCKET = ".s.PGSQL.5432"


async def until(done: Callable[[], Any], *, every: float = 0.02) -> None:
    """Wait for what is seen from outside only; what takes minutes is a hang."""
    async with asyncio.timeout(PATIENCE):
        while not (await found if isinstance(found := done(), Awaitable) else found):  # noqa: ASYNC110
            await asyncio.sleep(every)


def check_refusal(answer: httpx.Response) -> None:
    """A refusal for now is a 503 that says when to come again."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["status"] == 503


# --- Real processes, killed ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """Where a PostgreSQL of this module keeps its files."""
    folder = Path(tempfile.mkdtemp(prefix="csm-crashes-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "data"
    embedded.start_server(folder / "data").stop()
    shutil.rmtree(folder)


def free_port() -> int:
    """A port that no outgoing connection is given, so that it is still free when a service starts again."""
    for port in Random().sample(range(20_000, 32_000), 100):
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Process:
    """`csmetrics serve` as a process of its own, that can be killed and started again at the same address."""

    def __init__(self, data_dir: Path, *, number: int) -> None:
        port = free_port()
        self.log = data_dir.with_name(f"service-{number}.log")
        self.environment = APART | {
            "DATA_DIR": str(data_dir),
            "ADMIN_KEY": ADMIN_KEY,
            "PORT": str(port),
            "LOG_LEVEL": "error",
        }
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=PATIENCE
        )
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*CSMETRICS, "serve"], cwd=self.log.parent, env=self.environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with suppress(httpx.TransportError):
            return (await self.client.get("/readyz")).is_success
        return False

    async def ready(self) -> None:
        await until(self.is_ready, every=0.05)

    async def end(self) -> None:
        await self.client.aclose()
        self.process.terminate()
        assert await asyncio.to_thread(self.process.wait, PATIENCE) == 0, self.log.read_text()


class Postgres:
    """The processes of the PostgreSQL in a folder."""

    def __init__(self, data_dir: Path) -> None:
        self.cluster = data_dir / "cluster"

    def kill_postmaster(self) -> None:
        os.kill(int((self.cluster / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def kill_backend(self, random: Random) -> None:
        with psycopg.connect(host=str(self.cluster), port=5432, user="csmetrics", dbname="postgres") as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'csmetrics'"
            ).fetchall()
        os.kill(random.choice(found)[0], signal.SIGKILL)


class Writer:
    """A client that sends each batch until it is acknowledged, or gives it up, and keeps its own log of that.

    A batch is counted under its own name, so that the service can be asked for each of them.
    """

    def __init__(self, number: int, services: list[Process]) -> None:
        self.name, self.random = f"writer-{number}", Random(number)
        self.services = cycle(services[number % len(services) :] + services[: number % len(services)])
        self.acknowledged: dict[str, int] = {}
        self.given_up: dict[str, int] = {}

    async def write(self, stop: asyncio.Event) -> None:
        batch: list[Any] = []
        while not stop.is_set():
            # Now and then the last batch comes once more, as after an answer that was lost.
            batch = batch if batch and self.random.random() < 0.1 else self.batch()
            await self.send(batch, gives_up=self.random.random() < 0.3)
            await asyncio.sleep(0.02)

    def batch(self) -> list[Any]:
        size = self.random.randint(1, 8)
        name = f"{self.name}-{len(self.acknowledged) + len(self.given_up)}"
        accounts = self.random.choices(["acme", "globex", "initech", name], k=size)
        return [event("feature.used", account, user=self.name, feature=name) for account in accounts]

    async def send(self, batch: list[Any], *, gives_up: bool) -> None:
        name = batch[0]["data"]["feature"]
        while True:
            try:
                answer = await next(self.services).client.post("/v1/events", json=batch)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                said = answer.json()
                assert said["accepted"] + said["duplicates"] == len(batch), said
                self.acknowledged[name] = len(batch)
                self.given_up.pop(name, None)
                return
            if answer is not None:
                check_refusal(answer)
            if gives_up and name not in self.acknowledged:
                self.given_up[name] = len(batch)
                return
            await asyncio.sleep(0.05)


async def counted(service: Process) -> dict[str, int]:
    """How often each batch's events were counted, by its name."""
    asked = {"group_by": "subject", "granularity": "total", "period": "2026"}
    answer = await service.client.get("/v1/metrics/feature_uses", params=asked)
    assert answer.json()["next"] is None
    return {row["group"]["subject"]: row["value"] for row in answer.json()["rows"]}


ROUNDS = ["service", "backend", "service", "postmaster", "start", "backend", "service", "postmaster", "both"]


def test_kills_of_two_services_and_their_postgres_lose_and_double_nothing_that_was_acknowledged(data_dir: Path) -> None:
    random = Random(1)
    postgres = Postgres(data_dir)

    async def kill(what: str, services: list[Process]) -> None:
        if what == "backend":
            postgres.kill_backend(random)
            return
        if what == "postmaster":
            postgres.kill_postmaster()
        victims = services if what == "both" else [random.choice(services)]
        for victim in victims:
            victim.kill()
            victim.start()
        if what == "start":
            await asyncio.sleep(random.random())
            victims[0].kill()
            victims[0].start()

    async def run() -> tuple[list[Writer], dict[str, int]]:
        services = [Process(data_dir, number=number) for number in range(2)]
        try:
            for service in services:
                await service.ready()
            writers, stop = [Writer(number, services) for number in range(4)], asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for writer in writers:
                    tasks.create_task(writer.write(stop))
                for what in ROUNDS:
                    before = sum(len(writer.acknowledged) for writer in writers)
                    await until(lambda least=before + 20: sum(len(w.acknowledged) for w in writers) >= least)
                    await kill(what, services)
                    for service in services:
                        await service.ready()
                stop.set()
            found = await counted(services[0])
            for service in services:
                await service.end()
            return writers, found
        finally:
            for service in services:
                service.kill()

    writers, found = asyncio.run(run())
    acknowledged = {name: size for writer in writers for name, size in writer.acknowledged.items()}
    given_up = {name: size for writer in writers for name, size in writer.given_up.items()}
    assert {name: found.pop(name, 0) for name in acknowledged} == acknowledged
    assert found == {name: given_up[name] for name in found}
    settings = APART | {"DATA_DIR": str(data_dir)}
    verified = subprocess.check_output([*CSMETRICS, "verify"], cwd=data_dir.parent, env=settings, text=True)
    assert verified.startswith("0 differences in ")


def test_a_service_brings_its_own_postgres_back_when_somebody_has_killed_it(data_dir: Path) -> None:
    with Service(None, data_dir=data_dir).running() as service:
        service.send(session())
        os.kill(int((data_dir / "cluster/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        patience = time.monotonic() + PATIENCE
        while service.request("GET", "/readyz").status_code != 200:
            assert time.monotonic() < patience
            service.run(asyncio.sleep(0.1))
        assert service.value("sessions") == 1


# --- A database that goes away ------------------------------------------------------------------------------------------


class Database:
    """A PostgreSQL beside the service's process, which can be taken away and brought back."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.up()
        with psycopg.connect(self.running.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS away")
            connection.execute("CREATE DATABASE away")
        self.url = sa.make_url(self.running.url).set(database="away").render_as_string()

    def up(self) -> None:
        self.running = embedded.start_server(self.data_dir)

    def down(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: in order; SIGQUIT: at once, as `pg_ctl stop -m immediate`; SIGKILL: like a crash."""
        os.kill(int((self.data_dir / "cluster/postmaster.pid").read_text().split()[0]), how)
        self.running.stop()


@pytest.fixture
def beside(data_dir: Path) -> Iterator[Database]:
    """A PostgreSQL that runs, and is stopped afterwards if it runs."""
    database = Database(data_dir)
    yield database
    database.running.stop()


async def write_on(service: Service, number: int, statuses: list[int], stop: asyncio.Event) -> None:
    """Send one session after the other, each until it is acknowledged."""
    while not stop.is_set():
        one = session(f"account-{number % 3}", seconds=60)
        while True:
            answer = await service.client.post("/v1/events", json=one)
            statuses.append(answer.status_code)
            if answer.is_success:
                break
            check_refusal(answer)
            await asyncio.sleep(0.05)


async def check_that_nothing_but_the_process_is_well(service: Service) -> None:
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
        check_refusal(await service.client.request(method, path, json=body))
    stranger = {"Authorization": "Bearer csm_not_known_to_the_settings"}
    check_refusal(await service.client.get("/v1/surveys", headers=stranger))


def test_while_the_database_is_away_requests_get_503_and_all_is_well_when_it_is_back(beside: Database) -> None:
    async def run(service: Service) -> int:
        stop = asyncio.Event()
        statuses: list[list[int]] = [[] for _ in range(8)]
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(write_on(service, number, statuses[number], stop))
            for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                await until(lambda: all(said[-3:] == [200, 200, 200] for said in statuses))
                assert (await service.client.get("/readyz")).status_code == 200
                await asyncio.to_thread(beside.down, how)
                await until(lambda: all(said[-1] == 503 for said in statuses))
                await check_that_nothing_but_the_process_is_well(service)
                await asyncio.to_thread(beside.up)
            await until(lambda: all(said[-3:] == [200, 200, 200] for said in statuses))
            stop.set()
        return sum(said.count(200) for said in statuses)

    with Service(beside.url).running() as service:
        acknowledged = service.run(run(service))
        assert service.value("sessions") == acknowledged
        assert service.differences() == []


def test_a_start_waits_for_the_database(beside: Database) -> None:
    async def run(service: Service) -> None:
        lifespan = service.app.router.lifespan_context(service.app)
        starting = asyncio.create_task(lifespan.__aenter__())
        await asyncio.wait({starting}, timeout=1)
        assert not starting.done()
        await asyncio.to_thread(beside.up)
        async with asyncio.timeout(PATIENCE):
            await starting
        assert (await service.client.get("/readyz")).status_code == 200
        await service.client.aclose()
        await lifespan.__aexit__(None, None, None)

    beside.down()
    asyncio.run(run(Service(beside.url)))


def test_a_start_gives_up_after_the_time_that_the_settings_give_it(beside: Database) -> None:
    beside.down()
    with pytest.raises(Unavailable), Service(beside.url, database_wait_seconds=0).running():
        pass


# --- Connections that are cut -------------------------------------------------------------------------------------------


@pytest.fixture
def ask(database: str) -> Iterator[Callable[..., list[Any]]]:
    """Run a statement in the test's database, beside the service."""
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:

        def ask(statement: str) -> list[Any]:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

        yield ask


OF_THE_SERVICE = "FROM pg_stat_activity WHERE application_name = 'csmetrics' AND datname = current_database()"


def test_connections_that_died_in_the_pool_are_noticed_by_no_client(
    service: Service, ask: Callable[..., list[Any]]
) -> None:
    def some() -> list[Awaitable[httpx.Response]]:
        reads = [service.client.get("/v1/metrics/sessions") for _ in range(8)]
        return [*reads, *(service.client.post("/v1/events", json=session()) for _ in range(8))]

    for _ in range(3):
        assert {answer.status_code for answer in service.gather(*some())} == {200}
        assert len(ask(f"SELECT pg_terminate_backend(pid) {OF_THE_SERVICE}")) > 1
        service.gather(until(lambda: not ask(f"SELECT 1 {OF_THE_SERVICE}")))
    assert {answer.status_code for answer in service.gather(*some())} == {200}
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


def test_a_start_waits_while_postgres_starts_or_repairs_itself(database: str) -> None:
    said = ["is starting up", "is in recovery mode", "is not yet accepting connections", "is shutting down"]
    url = sa.make_url(database)
    heard: list[str] = []

    async def not_now(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What PostgreSQL answers to everybody who connects."""
        await reader.read(1024)
        heard.append(said[len(heard) % len(said)])
        fields = f"SFATAL\0VFATAL\0C57P03\0Mthe database system {heard[-1]}\0\0".encode()
        writer.write(struct.pack("!ci", b"E", 4 + len(fields)) + fields)
        writer.close()

    async def run(folder: Path) -> None:
        service = Service(url.update_query_dict({"host": str(folder)}).render_as_string())
        lifespan = service.app.router.lifespan_context(service.app)
        async with await asyncio.start_unix_server(not_now, folder / SOCKET):
            starting = asyncio.create_task(lifespan.__aenter__())
            await until(lambda: len(heard) >= len(said) or starting.done())
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
    """A wire between the service and PostgreSQL, which can be cut around a COMMIT."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.commits = self.cuts = 0

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self.carry, path)
        try:
            yield
        finally:
            server.close()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self.target)
        back = asyncio.create_task(self.pump(there_reader, writer))
        try:
            while data := await reader.read(2**16):
                cut = b"COMMIT" in data and self.is_cut()
                if cut == "answer":
                    back.cancel()
                    await asyncio.wait([back])
                if cut != "request":
                    there_writer.write(data)
                    await there_writer.drain()
                if cut == "answer":
                    await there_reader.readuntil(b"COMMIT")  # so it is committed, but nobody will hear of it
                if cut:
                    break
        except ConnectionError:
            pass
        finally:
            back.cancel()
            there_writer.close()
            writer.close()

    def is_cut(self) -> str:
        """Every fifth COMMIT is lost on its way, or its answer is."""
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


def test_a_commit_whose_answer_is_lost_is_repeated_without_counting_twice(database: str) -> None:
    url = sa.make_url(database)
    proxy = Proxy(f"{url.query['host']}/{SOCKET}")

    async def run(folder: Path) -> Counter[str]:
        said: Counter[str] = Counter()
        service = Service(url.update_query_dict({"host": str(folder)}).render_as_string())
        lifespan = service.app.router.lifespan_context(service.app)
        async with proxy.listening(folder / SOCKET), lifespan, service.client:
            for number in range(60):
                answer = await service.client.post("/v1/events", json=[session(), session(f"account-{number}")])
                assert answer.status_code == 200, answer.text
                said.update({name: answer.json()[name] for name in ("accepted", "duplicates")})
            for number in range(10):
                body = {"name": f"key-{number}", "scopes": ["read"]}
                assert (await service.client.post("/v1/keys", json=body)).status_code == 201
        return said

    with tempfile.TemporaryDirectory(prefix="csm-wire-", dir="/tmp") as folder:
        said = asyncio.run(run(Path(folder)))
    assert proxy.cuts > 10
    assert said.total() == 120
    with Service(database).running() as direct:
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
def test_what_postgres_cannot_do_for_now_is_a_503(service: Service, ask: Callable[..., list[Any]], state: str) -> None:
    ask(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE SQLSTATE '{state}'; END$$")
    ask("CREATE TRIGGER fail BEFORE INSERT ON entry EXECUTE FUNCTION fail()")
    one = session()
    check_refusal(service.request("POST", "/v1/events", json=one))
    ask("DROP TRIGGER fail ON entry")
    assert service.send(one)["accepted"] == 1
    assert service.value("sessions") == 1


def test_a_deadlock_is_run_again_and_noticed_by_no_client(service: Service, ask: Callable[..., list[Any]]) -> None:
    ask("CREATE SEQUENCE tries")
    body = "IF nextval('tries') <= 3 THEN RAISE SQLSTATE '40P01'; END IF; RETURN NEW;"
    ask(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$")
    ask("CREATE TRIGGER fail BEFORE INSERT ON entry EXECUTE FUNCTION fail()")
    assert service.send(session())["accepted"] == 1
    assert service.value("sessions") == 1


def test_when_all_connections_are_busy_requests_get_503_and_then_go_on(
    start: Callable[..., Service], ask: Callable[..., list[Any]]
) -> None:
    service = start(pool_size=1)
    service.send(session())

    async def run() -> None:
        ask("BEGIN")
        ask("LOCK account")
        first = asyncio.create_task(service.client.post("/v1/events", json=session()))
        waiting = f"SELECT 1 {OF_THE_SERVICE} AND wait_event_type = 'Lock'"
        await until(lambda: ask(waiting))
        for refused in await asyncio.gather(
            *(service.client.get(path) for path in ("/v1/metrics/sessions", "/readyz"))
        ):
            check_refusal(refused)
        assert (await service.client.get("/healthz")).status_code == 200
        ask("COMMIT")
        assert (await first).status_code == 200
        assert (await service.client.get("/readyz")).status_code == 200

    service.gather(run())
    assert service.value("sessions") == 2
