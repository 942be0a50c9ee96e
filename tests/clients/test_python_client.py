"""The Python client sends every event exactly once, whatever fails in between, and reads what the service answers."""

import asyncio
import gzip
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pandas
import polars.testing
import pytest
from csmetrics_client import AsyncClient, BatchResult, Client, ConnectionFailed, Problem, RetryPolicy
from csmetrics_client.batches import Batcher, split_events
from csmetrics_client.retries import _retry_after
from hypothesis import given
from hypothesis import strategies as st

from tests.support.flaky_proxy import FAULTS, flaky_proxy
from tests.support.process import ServiceProcess, service_process
from tests.support.service import ADMIN_KEY

CLIENT = Path(__file__).parents[2] / "clients" / "python"
AT = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
# As many tries as it takes, without waiting long.
PATIENT = RetryPolicy(tries=200, first=0.001, longest=0.01)


@pytest.fixture(scope="module")
def process(server: Any, copy_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """The service as a process, with a database of its own for all tests of this file."""
    with copy_database() as url, service_process(tmp_path_factory.mktemp("service"), url) as process:
        yield process


@pytest.fixture
def client(process: ServiceProcess) -> Iterator[Client]:
    with Client(process.url, ADMIN_KEY) as client:
        yield client


def sessions(account: str, count: int, *, prefix: str = "s") -> list[dict[str, Any]]:
    return [
        {
            "id": f"{prefix}{number}",
            "type": "session.ended",
            "account_id": account,
            "user_id": f"user-{number % 7}",
            "occurred_at": AT + timedelta(seconds=number),
            "data": {"duration_seconds": 60},
        }
        for number in range(count)
    ]


def count_of(client: Client, account: str) -> Any:
    [row] = client.metric("sessions", account=account, period="2026-03").rows
    return row["value"]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_event_is_counted_once_through_a_flaky_network(
    seed: int, process: ServiceProcess, client: Client
) -> None:
    account = f"flaky-{seed}"
    with flaky_proxy(process.url, seed=seed) as proxy, Client(proxy.url, ADMIN_KEY, retries=PATIENT) as flaky:
        result = flaky.post_events(sessions(account, 300), max_events=10)
        assert count_of(flaky, account) == 300
        assert len(list(flaky.rows("sessions", group_by="account", account=account, period="2026-03"))) == 1
    assert result.accepted + result.duplicates == 300 and result.rejected == []
    assert set(proxy.counts) == {*FAULTS, "forwarded"}
    assert count_of(client, account) == 300


def test_the_asynchronous_client_counts_every_event_once_as_well(process: ServiceProcess, client: Client) -> None:
    async def send(url: str) -> list[BatchResult]:
        async with AsyncClient(url, ADMIN_KEY, retries=PATIENT) as flaky:
            # The same events twice at the same time, as two processes that share a queue may do.
            return await asyncio.gather(
                *(flaky.post_events(sessions("flaky-async", 200), max_events=20) for _ in range(2))
            )

    with flaky_proxy(process.url, seed=3) as proxy:
        results = asyncio.run(send(proxy.url))
    assert all(own.accepted + own.duplicates == 200 for own in results)
    assert count_of(client, "flaky-async") == 200


def test_rejected_events_are_in_the_result_with_their_positions(client: Client) -> None:
    events = sessions("mixed", 25)
    for position in (3, 14, 24):
        del events[position]["account_id"]
    # The last batch has rejected events only, which the service answers with 422.
    result = client.post_events(iter(events), max_events=8)
    assert (result.accepted, result.duplicates) == (22, 0)
    assert [(own["index"], own["code"], own["errors"][0]["pointer"]) for own in result.rejected] == [
        (position, "missing", "/account_id") for position in (3, 14, 24)
    ]


def test_a_problem_is_an_exception_with_code_errors_and_request_id(client: Client, process: ServiceProcess) -> None:
    with pytest.raises(Problem) as caught:
        client.query(["sesions"], period="soon")
    problem = caught.value
    assert problem.status == 422 and {own["code"] for own in problem.errors} == {"unknown_metric", "invalid_period"}
    assert problem.request_id and problem.request_id in str(problem)
    with Client(process.url, "csm_wrong") as wrong, pytest.raises(Problem) as caught:
        wrong.post_events(sessions("x", 1))
    assert (caught.value.status, caught.value.code) == (401, "unauthenticated")


def test_rows_and_lists_are_read_over_all_pages(client: Client) -> None:
    client.post_events([own for number in range(5) for own in sessions(f"page-{number}", 2)])
    accounts = [f"page-{number}" for number in range(5)]
    rows = list(client.rows("sessions", account=accounts, group_by=["account"], period="2026-03", limit=2))
    assert [(row["group"]["account"], row["value"]) for row in rows] == [(own, 2) for own in accounts]
    listed = [own["id"] for own in client.list("/v1/accounts", "accounts", limit=2)]
    assert {*accounts} <= set(listed) and len(listed) == len(set(listed))


def test_the_asynchronous_client_asks_the_same(client: Client, process: ServiceProcess) -> None:
    client.post_events(sessions("same", 4))
    question: dict[str, Any] = {"account": "same", "start": date(2026, 3, 1), "end": date(2026, 4, 1)}

    async def ask() -> tuple[Any, Any, Any, Any]:
        async with AsyncClient(process.url, ADMIN_KEY) as own:
            answer, metric = await own.query("sessions", **question), await own.metric("sessions", **question)
            rows = [row async for row in own.rows("sessions", **question)]
            accounts = [one["id"] async for one in own.list("/v1/accounts", "accounts")]
            return answer.rows, metric.rows, rows, accounts

    answer, metric, rows, accounts = asyncio.run(ask())
    assert answer == metric == rows == list(client.query("sessions", **question).rows) and answer[0]["value"] == 4
    assert "same" in accounts


def refuse_parquet(client: Client | AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client find a service without Parquet."""
    request = client.request

    def without_parquet(call: Any) -> Any:
        if call.json and call.json.get("format") == "parquet":
            raise Problem(422, {"code": "format_unavailable"})
        return request(call)

    monkeypatch.setattr(client, "request", without_parquet)


@pytest.mark.parametrize("has_parquet", [True, False])
def test_frames_have_typed_columns_in_either_format(
    has_parquet: bool, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post_events([*sessions("framed", 3), *sessions("framed, too", 1)])
    if not has_parquet:
        refuse_parquet(client, monkeypatch)
    accounts = ["framed", "framed, too"]
    question: dict[str, Any] = {"account": accounts, "group_by": "account", "period": "2026-03"}
    own, other = client.pandas(["sessions", "nps"], **question), client.polars(["sessions", "nps"], **question)
    assert list(own.columns[:6]) == ["metric", "period", "start", "end", "complete", "account"]
    assert set(own.columns) == set(other.columns)
    values = {(row["metric"], row["account"]): row["value"] for row in other.to_dicts()}
    assert values["sessions", "framed"] == 3 and values["sessions", "framed, too"] == 1
    assert own[own.metric == "sessions"].value.tolist() == [3, 1]
    assert set(other["start"].to_list()) == {date(2026, 3, 1)}
    assert client.polars("mrr", period="2026-03")["amount"].to_list() == [Decimal("0.00")]


MARCH: dict[str, Any] = {"metrics": ["sessions", "nps", "mrr"], "period": "2026-03"}


@pytest.mark.parametrize(
    "question",
    [
        MARCH,
        MARCH | {"compare": "previous_period", "group_by": "account"},
        # Keys that are columns of every table, and of some.
        MARCH | {"group_by": "low,reason,amount"},
        MARCH | {"group_by": ["group", "interval", "previous"], "compare": "previous_year"},
        # No rows.
        MARCH | {"group_by": "reason", "account": "nobody"},
        MARCH | {"group_by": "account", "account": "nobody", "compare": "previous_period"},
        MARCH | {"group_by": "account", "limit": 2},
        MARCH | {"group_by": "low,account", "fields": "value, low,interval,metric,group"},
        MARCH | {"fields": ["period", "low"]},
    ],
    ids=str,
)
def test_frames_are_the_same_without_parquet(
    question: dict[str, Any], client: Client, process: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"low": "=1", "reason": 2.5, "amount": True, "group": "0123", "interval": None, "previous": ""}
    update = {"type": "account.updated", "account_id": "keys", "id": "keys", "occurred_at": "2026-01-01T00:00:00Z"}
    client.post_events([update | {"data": {"attributes": keys}}, *sessions("keys", 2), *sessions("other", 3)])
    question = question | {"strict": False}
    expected, expected_pandas = client.polars(**question), client.pandas(**question)
    refuse_parquet(client, monkeypatch)
    polars.testing.assert_frame_equal(client.polars(**question), expected)
    pandas.testing.assert_frame_equal(client.pandas(**question), expected_pandas)

    async def ask() -> tuple[Any, Any]:
        async with AsyncClient(process.url, ADMIN_KEY) as own:
            refuse_parquet(own, monkeypatch)
            return await own.polars(**question), await own.pandas(**question)

    found, found_pandas = asyncio.run(ask())
    polars.testing.assert_frame_equal(found, expected)
    pandas.testing.assert_frame_equal(found_pandas, expected_pandas)


def test_events_are_retracted(client: Client) -> None:
    client.post_events(sessions("retracted", 2))
    client.delete_event("s0", account_id="retracted")
    assert count_of(client, "retracted") == 1


def responding(*answers: Any) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A service that answers these one after the other, and what it was asked."""
    waiting, requests = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        own = waiting.pop(0)
        if isinstance(own, Exception):
            raise own
        return own if isinstance(own, httpx.Response) else httpx.Response(own, json={})

    return httpx.MockTransport(answer), requests


RECEIPT = {"accepted": 1, "duplicates": 0, "rejected": []}


def test_the_client_waits_as_long_as_the_service_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("csmetrics_client.client.time.sleep", waits.append)
    transport, requests = responding(
        httpx.Response(503, headers={"Retry-After": "7"}),
        httpx.ReadError("cut"),
        httpx.Response(429, headers={"Retry-After": "11"}),
        httpx.Response(200, json=RECEIPT),
    )
    with Client("http://service", "key", transport=transport) as client:
        assert client.post_events(sessions("a", 1)).accepted == 1
    assert waits[0] == 7 and waits[2] == 11 and 0.5 <= waits[1] <= 1
    # The same bytes each time.
    assert len({request.content for request in requests}) == 1


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([400], Problem),
        ([500], Problem),
        ([503, 503], Problem),
        ([httpx.ConnectError("no"), httpx.ConnectError("no")], ConnectionFailed),
        ([httpx.Response(503, headers={"Retry-After": "86400"})], Problem),
    ],
)
def test_what_no_wait_would_mend_is_an_exception(answers: list[Any], expected: type[Exception]) -> None:
    transport, requests = responding(*answers)
    client = Client("http://service", "key", transport=transport, retries=RetryPolicy(tries=2, first=0))
    with client, pytest.raises(expected):
        client.post_events(sessions("a", 1))
    assert len(requests) == len(answers)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("12", 12), ("", None), ("soon", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)]
)
def test_retry_after_has_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert _retry_after(text) == seconds


@given(
    st.lists(st.text(max_size=40), max_size=30),
    st.integers(1, 7),
    st.integers(1, 400),
    st.booleans(),
)
def test_batches_have_every_event_once_and_in_order(texts: list[str], count: int, size: int, compress: bool) -> None:
    events = [{"id": text, "at": AT, "day": AT.date(), "amount": Decimal("1.50")} for text in texts]
    batches = list(split_events(iter(events), Batcher(max_events=count, max_bytes=size, compress=compress)))
    position = 0
    for batch in batches:
        content = gzip.decompress(batch.content) if "Content-Encoding" in batch.headers else batch.content
        # Only line feeds end a line of NDJSON.
        own = [json.loads(line) for line in content.split(b"\n")]
        assert batch.offset == position and 1 <= len(own) <= count
        assert len(own) == 1 or len(content) <= size + len(own)
        expected = {"at": "2026-03-14T09:30:00+00:00", "day": "2026-03-14", "amount": "1.50"}
        assert own == [{"id": text, **expected} for text in texts[position : position + len(own)]]
        position += len(own)
    assert position == len(texts)


@pytest.mark.parametrize("kind", ["iterable", "asynchronous iterable"])
def test_events_are_read_only_as_far_as_the_batch_needs_that_is_sent(kind: str) -> None:
    read: list[str] = []
    read_at_requests: list[int] = []

    def events() -> Iterator[dict[str, Any]]:
        for own in sessions("a", 20):
            read.append(own["id"])
            yield own

    async def later() -> AsyncIterator[dict[str, Any]]:
        for own in events():
            await asyncio.sleep(0)
            yield own

    def answer(request: httpx.Request) -> httpx.Response:
        read_at_requests.append(len(read))
        return httpx.Response(200, json={**RECEIPT, "accepted": request.content.count(b"\n") + 1})

    async def send() -> BatchResult:
        async with AsyncClient("http://service", "key", transport=httpx.MockTransport(answer)) as client:
            return await client.post_events(later() if "async" in kind else events(), max_events=6, compress=False)

    assert asyncio.run(send()).accepted == 20
    assert read_at_requests == [7, 13, 19, 20]


@pytest.mark.parametrize("value", [datetime(2026, 3, 14), object(), float("nan")])
def test_what_json_cannot_say_is_an_error_before_anything_is_sent(value: Any) -> None:
    transport, requests = responding()
    with Client("http://service", "key", transport=transport) as client, pytest.raises((TypeError, ValueError)):
        client.post_events([{"id": "1", "occurred_at": value}])
    assert requests == []


def test_the_package_is_typed_and_knows_nothing_of_the_service(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    # Not where it is: a build leaves files behind.
    source = shutil.copytree(CLIENT, tmp_path / "source", ignore=shutil.ignore_patterns(".*"))
    subprocess.run([*command, str(source)], check=True, capture_output=True, cwd=tmp_path)
    [wheel] = tmp_path.glob("csmetrics_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        sources = {name: archive.read(name).decode() for name in names if name.endswith(".py")}
    assert "csmetrics_client/py.typed" in names and len(sources) >= 9
    assert [name for name, text in sources.items() if "import app" in text or "from app" in text] == []


def test_the_package_is_checked_strictly() -> None:
    # As `make check` does: what it has checked and has not changed since is known.
    result = subprocess.run([sys.executable, "-m", "mypy"], cwd=CLIENT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
