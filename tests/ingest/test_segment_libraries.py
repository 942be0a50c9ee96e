"""Segment's own libraries, for Python and for Node, send to the service over a socket: an app has to change three lines."""

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from segment.analytics.client import Client
from segment.analytics.request import APIError

from tests.support.node_packages import node_modules
from tests.support.process import ServiceProcess, service_process
from tests.support.service import PATIENCE

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "support" / "segment_calls.mjs"
_numbers = count()
METRICS = "nps,mrr,registered_users,active_users,feature_uses"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, copy_database: Callable[..., Any]) -> Iterator[ServiceProcess]:
    """One service for all tests, each of which has an account of its own."""
    with copy_database() as url, service_process(tmp_path_factory.mktemp("segment"), url) as process:
        yield process


@pytest.fixture(scope="module")
def write_key(service: ServiceProcess) -> str:
    key = service.request("POST", "/v1/keys", json={"name": "app", "scopes": ["ingest"]})
    return str(key.json()["key"])


@pytest.fixture
def account() -> str:
    return f"account-{next(_numbers)}"


@pytest.fixture(scope="module")
def node() -> Path:
    """The folder with Segment's library for Node, which `make test` installs."""
    return node_modules().parent


def range_of_days() -> dict[str, str]:
    """Return the parameters of a question about what has just happened by the clock of the machine, also at midnight."""
    today = datetime.now(UTC).date()
    start, end = today - timedelta(days=1), today + timedelta(days=1)
    return {"start": str(start), "end": str(end), "granularity": "total"}


def values(service: ServiceProcess, account: str) -> dict[str, float | None]:
    """Return the numbers of what has just happened to an account."""
    answer = service.request("GET", "/v1/query", params={"metrics": METRICS, "account": account, **range_of_days()})
    assert answer.status_code == 200, answer.text
    return {row["metric"]: row["value"] for row in answer.json()["rows"]}


class Relay(BaseHTTPRequestHandler):
    """Passes requests on, and answers the first attempts with an error, although the service has accepted them."""

    target: str
    statuses: list[tuple[int, dict[str, str]]]
    bodies: list[dict[str, Any]]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: text for name, text in self.headers.items() if name.lower() not in ("host", "connection")}
        answer = httpx.post(
            self.target + self.path, content=content, headers=headers, timeout=PATIENCE, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        self.bodies.append(answer.json())
        status, more = self.statuses.pop(0) if self.statuses else (200, {})
        self.send_response(status)
        for name, text in {"Content-Length": str(len(answer.content)), **more}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def relay(service: ServiceProcess, *statuses: tuple[int, dict[str, str]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a relay; return its address, and the list of the answers of the service."""
    members = {"target": service.url, "statuses": list(statuses), "bodies": []}
    handler = type("OwnRelay", (Relay,), members)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", members["bodies"]  # type: ignore[misc]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


LOST = (503, {})
LIMITED = (429, {"Retry-After": "1"})


# Python


def send_by_python(client: Client, account: str) -> None:
    """Make the calls of an app."""
    context = {"groupId": account}
    client.identify("ada", {"email": "ada@acme.example"}, context={**context})
    client.group("ada", account, {"name": "Acme", "plan": "pro"})
    client.track("ada", "Survey Responded", {"survey": "nps", "score": 9}, context={**context})
    client.track("ada", "Subscription Changed", {"subscription_id": "s", "mrr": 100.5}, context={**context})
    client.track("ada", "Report Exported", {"format": "csv"}, context={**context})
    client.page("ada", name="Pricing", context={**context})
    client.screen("ada", name="Home", context={**context})
    client.alias("ada-of-old", "ada")
    client.track(anonymous_id="visitor", event="Report Exported", context={**context})


EXPECTED = {"nps": 100, "mrr": 100.5, "registered_users": 1, "active_users": 1, "feature_uses": 3}


def open_python(url: str, write_key: str, errors: list[Any], **settings: Any) -> Client:
    return Client(
        write_key,
        host=f"{url}/v1/segment",
        on_error=lambda error, _: errors.append(error),
        timeout=PATIENCE,
        **settings,
    )


@pytest.mark.parametrize("settings", [{}, {"gzip": True}, {"sync_mode": True}, {"upload_size": 2}], ids=str)
def test_the_library_for_python_sends_what_an_app_does(
    settings: dict[str, Any], service: ServiceProcess, write_key: str, account: str
) -> None:
    errors: list[Any] = []
    client = open_python(service.url, write_key, errors, **settings)
    send_by_python(client, account)
    if "sync_mode" not in settings:
        client.shutdown()
    assert errors == []
    assert values(service, account) == EXPECTED
    attributes = service.request("GET", f"/v1/accounts/{account}").json()["attributes"]
    assert attributes == {"name": "Acme", "plan": "pro"}


def test_what_the_library_for_python_sends_again_counts_once(
    service: ServiceProcess, write_key: str, account: str
) -> None:
    errors: list[Any] = []
    with relay(service, LOST, LIMITED) as (url, answers):
        client = open_python(url, write_key, errors, upload_interval=1)
        send_by_python(client, account)
        client.shutdown()
    assert errors == [] and values(service, account) == EXPECTED
    totals = Counter[str]()
    for answer in answers:
        totals += Counter({name: answer[name] for name in ("accepted", "duplicates")})
        assert answer["success"] is True and answer["rejected"] == []
    assert len(answers) >= 3 and totals["accepted"] == 7 and totals["duplicates"] >= 1


def test_a_rejected_call_does_not_disturb_the_library_for_python(
    service: ServiceProcess, write_key: str, account: str
) -> None:
    errors: list[Any] = []
    client = open_python(service.url, write_key, errors, sync_mode=True)
    client.track("ada", "Survey Responded", {"survey": "nps", "score": 99}, context={"groupId": account})
    client.identify("ada")
    assert errors == []


def test_a_wrong_key_is_an_error_that_the_library_for_python_does_not_repeat(
    service: ServiceProcess, account: str
) -> None:
    client = open_python(service.url, "csm_unheard", [], sync_mode=True)
    with pytest.raises(APIError) as raised:
        client.identify("ada", context={"groupId": account})
    assert raised.value.status == 401


# Node


def send_by_node(
    folder: Path, url: str, write_key: str, account: str, *, shift: timedelta = timedelta(), **settings: Any
) -> Any:
    """Make the calls of an app, and return what became of them."""
    person = {"userId": "ada", "context": {"groupId": account}}
    calls: list[tuple[str, Any]] = [
        ("identify", person | {"traits": {"email": "ada@acme.example"}}),
        ("group", {"userId": "ada", "groupId": account, "traits": {"name": "Acme", "plan": "pro"}}),
        ("track", person | {"event": "Survey Responded", "properties": {"survey": "nps", "score": 9}}),
        ("track", person | {"event": "subscription_changed", "properties": {"subscriptionId": "s", "mrr": 100.5}}),
        ("track", person | {"event": "Report Exported", "properties": {"format": "csv"}}),
        ("page", person | {"name": "Pricing"}),
        ("screen", person | {"name": "Home"}),
        ("alias", {"userId": "ada", "previousId": "ada-of-old"}),
        ("track", {"anonymousId": "visitor", "event": "Report Exported", "context": {"groupId": account}}),
    ]
    own_settings = {"writeKey": write_key, "host": url, "path": "/v1/segment/batch"} | settings
    own_settings["httpRequestTimeout"] = PATIENCE * 1000
    milliseconds = str(int(shift.total_seconds() * 1000))
    command = ["node", SCRIPT, folder, json.dumps(own_settings), json.dumps(calls), milliseconds]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("settings", [{}, {"flushAt": 2}], ids=str)
@pytest.mark.parametrize("hours", [0, 3, -3])
def test_the_library_for_node_sends_what_an_app_does_by_any_clock(
    settings: dict[str, Any], hours: int, node: Path, service: ServiceProcess, write_key: str, account: str
) -> None:
    before = datetime.now(UTC)
    result = send_by_node(node, service.url, write_key, account, shift=timedelta(hours=hours), **settings)
    assert result["errors"] == [] and set(result["statuses"]) == {200}
    assert values(service, account) == EXPECTED
    events = service.request(
        "GET", "/v1/metrics/feature_uses/events", params={"account": account, **range_of_days()}
    ).json()["rows"]
    times = [datetime.fromisoformat(event["occurred_at"]) for event in events]
    assert len(times) == 3 and all(before - timedelta(minutes=1) < time <= datetime.now(UTC) for time in times)


def test_what_the_library_for_node_sends_again_counts_once(
    node: Path, service: ServiceProcess, write_key: str, account: str
) -> None:
    with relay(service, LOST, LIMITED) as (url, answers):
        result = send_by_node(node, url, write_key, account)
    assert result == {"statuses": [503, 429, 200], "errors": []}
    assert [(answer["accepted"], answer["duplicates"]) for answer in answers] == [(7, 0), (0, 7), (0, 7)]
    assert values(service, account) == EXPECTED


def test_a_wrong_key_is_an_error_that_the_library_for_node_does_not_repeat(
    node: Path, service: ServiceProcess, account: str
) -> None:
    result = send_by_node(node, service.url, "csm_unheard", account)
    assert result["statuses"] == [401] and len(result["errors"]) == 9


# Both


def test_what_the_libraries_send_fits_the_openapi_document(
    node: Path, service: ServiceProcess, write_key: str, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = service.request("GET", "/openapi.json").json()
    schema = {"$ref": "#/components/schemas/SegmentBatch", "components": document["components"]}
    bodies: list[Any] = []
    original: Callable[..., Any] = Relay.do_POST

    def note(self: Relay) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        bodies.append(json.loads(content))
        self.rfile = type("Again", (), {"read": lambda _, size: content})()  # type: ignore[assignment]
        original(self)

    monkeypatch.setattr(Relay, "do_POST", note)
    with relay(service) as (url, _):
        client = open_python(url, write_key, [])
        send_by_python(client, account)
        client.shutdown()
        send_by_node(node, url, write_key, account)
    assert sum(len(body["batch"]) for body in bodies) == 18
    for body in bodies:
        Draft202012Validator(schema).validate(body)
