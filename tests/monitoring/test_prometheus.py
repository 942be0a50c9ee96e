"""The page for Prometheus: its format, what its meters count, who may read it, and that several workers are one."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from app.core import meters
from app.database.tables import books
from app.database.work_counts import WORK_METERS
from app.monitoring.scrape import DAY_GAUGES
from app.monitoring.webhook_gauges import WEBHOOK_GAUGES
from tests.support.process import service_process, wait_until
from tests.support.service import Service, session

PATH = "/metrics/prometheus"
REQUESTS = "csmetrics_http_request_duration_seconds_count"
PROMETHEUS_KEY = "the-key-of-our-prometheus"
BASE_UNITS = ("_seconds", "_total", "_info", "_connections", "_rows", "_up", "_bytes")
# What a gauge counts.
COUNTED = ("_deliveries", "_messages", "_endpoints", "_answers")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(response: httpx.Response) -> Samples:
    assert response.status_code == 200, response.text
    families = text_string_to_metric_families(response.text)
    samples = [sample for family in families for sample in family.samples]
    values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(values) == len(samples), "a time series occurs twice"
    return values


def read_samples(service: Any) -> Samples:
    return samples_of(service.request("GET", PATH))


def value_of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0)


def difference(service: Service, work: Callable[[], Any], name: str, **labels: str) -> float:
    """Return by how much a meter rises while something is done."""
    before = read_samples(service)
    work()
    return value_of(read_samples(service), name, **labels) - value_of(before, name, **labels)


def fill(service: Service) -> None:
    """Let every meter have a value."""
    service.send(session())
    service.get("/v1/metrics/sessions")
    assert service.request("POST", "/v1/events", json={"type": "no such"}).status_code == 422
    meters.INVALID_REQUESTS.labels("400").inc(0)


def test_the_page_is_well_formed_and_every_meter_is_described(shared: Service) -> None:
    fill(shared)
    families = list(text_string_to_metric_families(shared.request("GET", PATH).text))
    assert len(families) == len({family.name for family in families}) >= 15
    for family in families:
        assert family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge", "histogram", "summary"), family.name
        assert family.name.startswith("csmetrics_")
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name.endswith(BASE_UNITS + COUNTED), name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_no_objection(shared: Service) -> None:
    fill(shared)
    page = shared.request("GET", PATH).text
    check = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert (check.returncode, check.stdout + check.stderr) == (0, "")


def test_the_page_is_also_written_in_the_format_of_openmetrics(shared: Service) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    response = shared.request("GET", PATH, headers={"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


REQUEST_LABELS = [
    ("GET", "/v1/accounts/nobody%2Fhere", "/v1/accounts/{account_id}", "404"),
    ("GET", "/v1/metrics/sessions?period=2026", "/v1/metrics/{metric}", "200"),
    ("HEAD", "/v1/surveys", "/v1/surveys", "200"),
    ("GET", "/healthz", "/healthz", "200"),
    ("POST", "/v1/events", "/v1/events", "415"),
    ("TRACE", "/v1/surveys", "/v1/surveys", "405"),
    ("GET", "/static-offline-docs/swagger-ui.css", "/static-offline-docs", "200"),
    ("GET", "/no/such/path", "", "404"),
    ("GET", "/%FF", "", "400"),
]


@pytest.mark.parametrize(("method", "path", "route", "status"), REQUEST_LABELS)
def test_requests_are_counted_by_method_route_and_status(
    method: str, path: str, route: str, status: str, shared: Service
) -> None:
    labels = {"method": "other" if method == "TRACE" else method, "route": route, "status": status}
    assert difference(shared, lambda: shared.request(method, path), REQUESTS, **labels) == 1


def test_no_client_can_add_time_series_without_end(shared: Service) -> None:
    def send_nonsense(text: str) -> None:
        for path in (f"/{text}", f"/v1/accounts/{text}", f"/v1/metrics/{text}", f"/v1/metrics/nps?subject={text}"):
            shared.request("GET", path)
        shared.request(text.upper(), "/v1/surveys")
        shared.request("POST", "/v1/events", json=session(account=text) | {"type": text, text: 1})
        shared.request("GET", "/v1/surveys", headers={"Authorization": f"Bearer {text}"})

    send_nonsense("first")
    before = read_samples(shared).keys()
    for number in range(20):
        send_nonsense(f"nonsense{chr(97 + number)}")
    assert read_samples(shared).keys() == before


def test_events_are_counted_as_accepted_duplicate_and_rejected_by_code(shared: Service) -> None:
    events = [session(id="metered-1"), session(id="metered-2"), session(id="metered-1"), session(seconds=-1)]
    before = read_samples(shared)
    shared.send(*events)
    shared.send(*events[:2], session(id="metered-1", seconds=7))
    after = read_samples(shared)
    names = {
        ("csmetrics_ingest_events_accepted_total", ""): 2,
        ("csmetrics_ingest_events_duplicate_total", ""): 2 + 1,
        ("csmetrics_ingest_events_rejected_total", "conflict"): 1,
        ("csmetrics_ingest_events_rejected_total", "greater_than_equal"): 1,
    }
    for (name, code), count in names.items():
        labels = {"code": code} if code else {}
        assert value_of(after, name, **labels) - value_of(before, name, **labels) == count, (name, code)


def test_questions_are_counted_by_granularity_and_metric(shared: Service) -> None:
    def ask() -> None:
        shared.forget_answers().get("/v1/query", metrics="nps,sessions", period="2026-03", granularity="day")

    assert difference(shared, ask, "csmetrics_question_duration_seconds_count", granularity="day") == 1
    assert difference(shared, ask, "csmetrics_question_metrics_total", metric="sessions") == 1
    assert difference(shared, ask, "csmetrics_question_rows_sum") == 2 * 31
    names = {dict(labels)["metric"] for name, labels in read_samples(shared) if name.endswith("metrics_total")}
    # Other tests add metrics of their own for a while.
    assert {"nps", "sessions"} <= names and not names & {"day", "2026-03"}


def test_statements_and_connections_are_metered(shared: Service) -> None:
    name = "csmetrics_database_statement_duration_seconds_count"
    assert difference(shared, lambda: shared.send(session()), name, operation="batch") >= 1
    # The last statements of posting are sent together with the commit.
    assert difference(shared, lambda: shared.send(session()), name, operation="flush") >= 1
    assert difference(shared, lambda: shared.get("/v1/alerts"), name, operation="execute") >= 1
    wait = "csmetrics_database_pool_wait_seconds_count"
    assert difference(shared, lambda: shared.get("/v1/checks"), wait, pool="questions") >= 1
    assert difference(shared, lambda: shared.get("/readyz"), wait, pool="lookups") >= 1
    assert difference(shared, lambda: shared.send(session()), wait, pool="main") >= 1


@pytest.mark.own_database
def test_the_gauges_of_the_pool_agree_with_the_server(
    service: Service, execute_in: Callable[[str], None], query_database: Callable[[str], list[Any]]
) -> None:
    name = "csmetrics_database_pool_connections"
    ours = "pg_stat_activity WHERE datname = current_database() AND application_name = 'csmetrics'"
    state = {"used": 0.0, "idle": 0.0}

    def check() -> None:
        samples = read_samples(service)
        nonlocal state
        state = {
            key: sum(value_of(samples, name, pool=pool, state=key) for pool in ("main", "questions", "lookups"))
            for key in state
        }
        # The page itself reads with one connection, which is back before the page is written.
        assert state == {"used": 0, "idle": query_database(f"SELECT count(*) FROM {ours}")[0][0]}

    def use_all_pools(times: int) -> None:
        new_key = {"name": "crm", "scopes": ["read"]}
        service.gather(*(service.client.get("/v1/checks") for _ in range(times)))
        service.gather(*(service.client.post("/v1/keys", json=new_key) for _ in range(times)))

    check()
    use_all_pools(10)
    check()
    assert state["idle"] > 1
    execute_in(f"SELECT pg_terminate_backend(pid, 1000) FROM {ours}")
    use_all_pools(20)
    check()
    assert value_of(read_samples(service), "csmetrics_database_pool_max_connections", pool="main") == 20


def test_the_first_recorded_day_is_a_time(service: Service) -> None:
    name = "csmetrics_books_first_recorded_day_timestamp_seconds"
    assert (name, frozenset()) not in read_samples(service)
    service.send(session())
    assert value_of(read_samples(service), name) == 1_773_532_800  # 2026-03-15T00:00:00Z
    assert name in {gauge.name for gauge in DAY_GAUGES}


# --- Who may read it ----------------------------------------------------------------------------------------------------


def test_the_key_for_prometheus_reads_the_page_and_nothing_else(start_service: Callable[..., Service]) -> None:
    service = start_service(prometheus_key=PROMETHEUS_KEY)
    headers = {"Authorization": f"Bearer {PROMETHEUS_KEY}"}
    assert service.request("GET", PATH, headers=headers).status_code == 200
    assert service.request("GET", PATH, headers={"Authorization": "", "X-API-Key": PROMETHEUS_KEY}).is_success
    for path in ("/v1/metrics", "/v1/keys", "/v1/metrics/nps"):
        problem = service.request("GET", path, headers=headers)
        assert (problem.status_code, problem.json()["code"]) == (403, "forbidden")
        assert "PROMETHEUS_KEY may only read /metrics/prometheus" in problem.json()["detail"]
    anonymous = {"Authorization": ""}
    assert service.request("GET", f"{PATH}?api_key={PROMETHEUS_KEY}", headers=anonymous).status_code == 401
    assert service.request("GET", PATH, headers=anonymous).status_code == 401
    for status, scopes in ((200, ["read"]), (403, ["ingest"])):
        key = service.request("POST", "/v1/keys", json={"name": "p", "scopes": scopes}).json()["key"]
        assert service.request("GET", PATH, headers={"Authorization": f"Bearer {key}"}).status_code == status
    assert service.request("GET", f"{PATH}?name=up", headers=headers).status_code == 422


@pytest.mark.own_database
def test_the_page_says_when_the_database_is_away(
    start_service: Callable[..., Service], server: Any, database: str, execute: Callable[[str], None]
) -> None:
    service = start_service(prometheus_key=PROMETHEUS_KEY)
    headers = {"Authorization": f"Bearer {PROMETHEUS_KEY}"}

    def is_up() -> float:
        return value_of(samples_of(service.request("GET", PATH, headers=headers)), "csmetrics_database_up")

    name = database.rpartition("/")[2].partition("?")[0]
    assert is_up() == 1
    execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    execute(f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = '{name}'")
    assert is_up() == 0
    execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert is_up() == 1


# --- Several workers ----------------------------------------------------------------------------------------------------


@pytest.mark.own_database
def test_several_workers_answer_with_the_sums_of_all_even_of_those_that_have_died(
    database: str, tmp_path: Path
) -> None:
    labels = {"method": "GET", "route": "/v1/surveys", "status": "200"}
    # A variable of other programs does not disturb: the service has a folder of its own.
    with service_process(tmp_path, database, WORKERS=2, PROMETHEUS_MULTIPROC_DIR="/nonexistent") as process:

        def count_requests(number: int) -> None:
            for _ in range(number):
                assert process.request("GET", "/v1/surveys").is_success

        def files() -> set[str]:
            return {file.name for file in tmp_path.glob("csmetrics-*/*.db")}

        count_requests(20)
        assert {value_of(read_samples(process), REQUESTS, **labels) for _ in range(10)} == {20}
        before = files()
        assert {re.sub(r".*_(\d+)\.db", r"\1", name) for name in before} == {"0", "1"}
        limit = value_of(read_samples(process), "csmetrics_database_pool_max_connections", pool="main")
        for round in range(2):
            [pid, *_] = {int(pid) for pid in children_of(process.process.pid)}
            started = len(process.lines("listening"))
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda started=started: len(process.lines("listening")) > started)
            count_requests(5)
            samples = read_samples(process)
            assert value_of(samples, REQUESTS, **labels) == 25 + 5 * round
            assert value_of(samples, "csmetrics_database_pool_max_connections", pool="main") == limit == 2 * 8
        assert files() == before
        if shutil.which("promtool"):
            page = process.request("GET", PATH).content
            assert subprocess.run(["promtool", "check", "metrics"], input=page, check=False).returncode == 0
        process.stop()
        assert list(tmp_path.glob("csmetrics-*")) == []


def children_of(pid: int) -> list[str]:
    """Return the ids of the workers: the processes that a process started, without those that only watch resources."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_the_documentation_lists_every_meter_with_its_labels() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations" / "monitoring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`csmetrics_.*?) \|(.*?)\|", page, re.MULTILINE)
    listed = {
        name: set(re.findall(r"`(\w+)`", labels)) for names, labels in rows for name in re.findall(r"`(\w+)`", names)
    }
    own = {
        metric.describe()[0].name + ("_total" if metric._type == "counter" else ""): set(metric._labelnames)
        for metric in vars(meters).values()
        if isinstance(metric, MetricWrapperBase)
    }
    own |= {meter.name: {meter.label} if meter.label else set() for meter in WORK_METERS}
    day_gauges = {gauge.name: set[str]() for gauge in DAY_GAUGES if gauge.column in books.c}
    day_gauges |= {name: set[str]() for name, _ in WEBHOOK_GAUGES}
    assert listed == own | day_gauges | {"csmetrics_database_up": set(), "csmetrics_build_info": {"version"}}
