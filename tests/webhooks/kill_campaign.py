"""The kill campaign of webhooks: `make campaign` runs it for 100 kills, the suite for a few.

Clients send events until they are acknowledged, while the service (with its worker) and two `csmetrics work` are killed one after
the other and started again. A receiver in another process and language, Node, verifies each signature and writes down what it
got. At the end everything that was acknowledged has arrived, with one id and the same bytes each time.
"""

import argparse
import json
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random

import httpx
import psycopg
import sqlalchemy as sa

from app.database.migrate import migrate
from app.embedded import server as embedded
from app.webhooks.dispatch import LEASE_SECONDS
from app.webhooks.signing import new_secret
from tests.support.command import COMMAND, environment
from tests.support.process import ROOT, wait_until
from tests.support.processes import free_port
from tests.support.service import ADMIN_KEY, PATIENCE, event

_CLIENTS, _DETRACTORS = 2, 6
_TOPICS = ["feedback.received", "mrr.moved"]
_RECEIVER = ROOT / "tests" / "support" / "webhook_receiver.mjs"


@dataclass
class WebhookOutcome:
    """What a campaign has found. lost: what was acknowledged, but has not arrived. faults: what has arrived and is not right."""

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    messages: int = 0
    attempts: int = 0
    lost: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return self.acknowledged > 0 and not self.lost and not self.faults

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {victim}" for victim, count in sorted(self.kills.items()))
        return (
            f"webhooks: {self.kills.total()} kills ({kills})\nacknowledged events: {self.acknowledged:,}, "
            f"messages: {self.messages:,}, attempts that arrived: {self.attempts:,}\n"
            f"lost: {len(self.lost)} {self.lost[:5]}\nfaults: {len(self.faults)} {self.faults[:5]}"
        )


class Victim:
    """A process of `csmetrics` that is killed and started again."""

    def __init__(self, name: str, folder: Path, *arguments: str, **settings: str) -> None:
        self._command, self._log = [*COMMAND, *arguments], folder / f"{name}.log"
        self._folder, self._environment, self.name = folder, environment(**settings), name
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def check(self) -> None:
        assert self.process.poll() is None, self._log.read_text()[-4000:]


class Sender(threading.Thread):
    """A client that sends each batch until it is acknowledged."""

    def __init__(self, number: int, port: int) -> None:
        super().__init__(daemon=True)
        self._name, self._url = f"sender-{number}", f"http://127.0.0.1:{port}/v1/events"
        self._stop_event = threading.Event()
        self.events: set[str] = set()
        self.accounts: set[str] = set()

    def run(self) -> None:
        number = 0
        with httpx.Client(
            headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=PATIENCE, trust_env=False
        ) as client:
            while not self._stop_event.is_set():
                number += 1
                self._send(client, f"{self._name}-{number}")
                time.sleep(0.05)

    def _send(self, client: httpx.Client, name: str) -> None:
        now = datetime.now(UTC).isoformat()
        ids = [f"{name}-{number}" for number in range(_DETRACTORS)]
        answer = {"user": "ada", "survey": "nps", "score": 3, "comment": "Too slow. — Zu langsam."}
        batch = [event("survey.responded", id=id, at=now, **answer) for id in ids]
        batch.append(event("subscription.changed", name, id=f"{name}-mrr", at=now, subscription_id="main", mrr="99"))
        while True:
            with suppress(httpx.TransportError):
                response = client.post(self._url, json=batch)
                if response.is_success:
                    assert response.json()["accepted"] + response.json()["duplicates"] == len(batch), response.text
                    break
                assert response.status_code == 503, response.text
            time.sleep(0.1)
        self.events.update(ids)
        self.accounts.add(name)

    def finish(self) -> None:
        self._stop_event.set()
        self.join(PATIENCE)
        assert not self.is_alive()


def run_webhook_campaign(
    folder: Path, database: str, *, kills: int, seed: int, waits_for_leases: bool
) -> WebhookOutcome:
    """Kill so many times, then wait until all has arrived. waits_for_leases: else those of the dead end at once, in the end."""
    outcome, random, received = WebhookOutcome(), Random(seed), folder / "received.jsonl"
    secret, port, url = new_secret(), free_port(), database.replace("+psycopg", "")
    received.touch()
    settings = {"DATABASE_URL": url, "WEBHOOK_ALLOW_HTTP": "true", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1"}
    settings |= {"ADMIN_KEY": ADMIN_KEY, "PORT": str(port), "LOG_LEVEL": "error", "TMPDIR": str(folder)}
    with ExitStack() as stack:
        target = stack.enter_context(_run_receiver(received, secret))
        victims = []
        for name, command in (("service", "serve"), ("worker 1", "work"), ("worker 2", "work")):
            victims.append(Victim(name, folder, command, **settings))
            stack.callback(victims[-1].kill)
            _wait_until_ready(port, victims[0])
        _subscribe(port, f"{target}/hooks", secret)
        senders = [Sender(number, port) for number in range(_CLIENTS)]
        for sender in senders:
            sender.start()
        for victim in _victims(random, victims, kills):
            before = received.stat().st_size
            _wait_for(lambda before=before: received.stat().st_size > before, victims)  # type: ignore[misc]
            time.sleep(random.random() * 0.3)
            victim.kill()
            outcome.kills[victim.name.split()[0]] += 1
            victim.start()
        for sender in senders:
            sender.finish()
        _wait_until_delivered(url, victims, ends_leases=not waits_for_leases)
    _judge(outcome, url, received, senders)
    return outcome


def _victims(random: Random, victims: list[Victim], kills: int) -> Iterator[Victim]:
    """Yield so many, each as often as the others, in random order."""
    for start in range(0, kills, len(victims)):
        yield from random.sample(victims, min(len(victims), kills - start))


@contextmanager
def _run_receiver(file: Path, secret: str) -> Iterator[str]:
    process = subprocess.Popen(
        ["node", str(_RECEIVER), str(file)], env=environment(WEBHOOK_SECRET=secret), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _wait_until_ready(port: int, service: Victim) -> None:
    def is_ready() -> bool:
        service.check()
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE, trust_env=False).is_success
        return False

    wait_until(is_ready)


def _subscribe(port: int, url: str, secret: str) -> None:
    response = httpx.post(
        f"http://127.0.0.1:{port}/v1/webhook-endpoints",
        json={"url": url, "topics": _TOPICS, "secret": secret},
        headers={"Authorization": f"Bearer {ADMIN_KEY}"},
        timeout=PATIENCE,
        trust_env=False,
    )
    assert response.status_code == 201, response.text


def _wait_for(condition: Callable[[], object], victims: list[Victim]) -> None:
    """Wait until a condition is true, or fail when a process has ended by itself."""

    def is_true() -> bool:
        for victim in victims:
            victim.check()
        return bool(condition())

    wait_until(is_true)


def _wait_until_delivered(url: str, victims: list[Victim], *, ends_leases: bool) -> None:
    query = """
        SELECT (SELECT count(*) FROM webhook_message WHERE NOT dispatched)
            + (SELECT count(*) FROM webhook_delivery WHERE state = 'pending')
        """
    with psycopg.connect(url, autocommit=True) as connection:

        def count() -> int:
            for victim in victims:
                victim.check()
            row = connection.execute(query).fetchone()
            return int(row[0]) if row else 0

        if ends_leases:
            connection.execute("UPDATE webhook_delivery SET leased_until = NULL WHERE state = 'pending'")
        # The leases of the dead end by themselves; an attempt that got no answer is repeated after seconds, or a minute.
        deadline = time.monotonic() + PATIENCE + 2 * LEASE_SECONDS
        while count():
            assert time.monotonic() < deadline, f"{count()} are pending"
            time.sleep(0.2)


def _judge(outcome: WebhookOutcome, url: str, received: Path, senders: list[Sender]) -> None:
    """Compare what was acknowledged, what is in the outbox, and what has arrived."""
    rows = [json.loads(line) for line in received.read_text().splitlines()]
    bodies: dict[str, set[str]] = {}
    for row in rows:
        bodies.setdefault(row["id"], set()).add(row["body"])
    outcome.faults += [f"not genuine: {row}" for row in rows if not row["is_genuine"]]
    with psycopg.connect(url) as connection:
        messages = connection.execute("SELECT id, body FROM webhook_message").fetchall()
        states = connection.execute("SELECT DISTINCT state FROM webhook_delivery").fetchall()
    expected = {id: {sha256(body).hexdigest()} for id, body in messages}
    outcome.faults += [f"other bytes: {id}" for id in expected.keys() & bodies.keys() if expected[id] != bodies[id]]
    outcome.faults += [f"not in the outbox: {id}" for id in bodies.keys() - expected.keys()]
    outcome.faults += [f"state: {state}" for (state,) in states if state != "delivered"]
    outcome.lost += sorted(expected.keys() - bodies.keys())
    arrived = [json.loads(body)["data"] for id, body in messages if id in bodies]
    events = Counter(data["event_id"] for data in arrived if "event_id" in data)
    accounts = Counter(data["account"]["id"] for data in arrived if "event_id" not in data)
    for own, counts in (("events", events), ("accounts", accounts)):
        acknowledged: set[str] = set().union(*(getattr(sender, own) for sender in senders))
        outcome.lost += sorted(acknowledged - counts.keys())
        outcome.faults += [f"told twice: {id}" for id, count in counts.items() if count > 1]
    outcome.acknowledged = sum(len(sender.events) + len(sender.accounts) for sender in senders)
    outcome.messages, outcome.attempts = len(messages), len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    if shutil.which("node") is None:
        raise SystemExit("The program node is missing, so THE KILL CAMPAIGN OF WEBHOOKS CANNOT RUN.")
    with tempfile.TemporaryDirectory(prefix="csm-kills-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = embedded.start_server(folder / "server")
        try:
            database = sa.make_url(server.url).render_as_string(hide_password=False)
            migrate(database)
            outcome = run_webhook_campaign(
                folder, database, kills=arguments.kills, seed=arguments.seed, waits_for_leases=True
            )
        finally:
            server.stop()
    print(f"{outcome}\nseed: {arguments.seed}")  # noqa: T201
    raise SystemExit(not outcome.is_clean)


if __name__ == "__main__":
    main()
