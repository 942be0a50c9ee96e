"""Pictures: made by a process of its own, within limits, and of nothing but our specifications."""

import asyncio
import os
import signal
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import uvloop

from app.charts import render, renderer
from app.charts.render import Renderer
from app.core.callers import current_caller
from app.core.errors import Problem
from app.http import formats
from tests.charts.specs import example
from tests.support.service import PATIENCE, Service, event

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """Both kinds of event loops: the service has the faster one, and they differ in what they do about ended processes."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


@pytest.fixture
def customer(service: Service) -> Service:
    service.send(event("subscription.changed", at="2026-01-05", subscription_id="s", mrr="100.50"))
    return service


def picture(service: Service, **parameters: Any) -> Any:
    return service.request("GET", "/v1/metrics/mrr", params={"period": "last_3_months"} | parameters)


def test_an_svg_is_labelled_and_runs_nothing(customer: Service) -> None:
    answer = picture(customer, format="svg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    root = ElementTree.fromstring(answer.content)
    assert root.tag == f"{SVG}svg" and root.get("role") == "graphics-document"
    assert "Last complete values" in str(root.get("aria-label"))
    labels = [str(own.get("aria-label")) for own in root.iter() if own.get("aria-roledescription") == "point"]
    assert labels[1:] == [
        "Monthly recurring revenue (MRR), Jan 2026: 100.50 USD",
        "Monthly recurring revenue (MRR), Feb 2026: 100.50 USD",
    ]
    assert answer.content == picture(customer, format="svg").content


def test_a_png_has_the_size_that_is_asked_for(customer: Service) -> None:
    small, large = (
        picture(customer, format="png", width=width, height=300, scale=scale).content
        for width, scale in ((400, 1), (600, 2))
    )
    sizes = [(int.from_bytes(own[16:20]), int.from_bytes(own[20:24])) for own in (small, large)]
    assert small[:8] == large[:8] == b"\x89PNG\r\n\x1a\n"
    assert sizes == [(400, 300), (1200, 600)]


def test_every_chart_is_a_picture(runner: asyncio.Runner) -> None:
    from app.charts.define import CHARTS

    async def draw_all() -> None:
        own = Renderer()
        for name in CHARTS:
            content = await own.render(example(name), "svg", scale=1)
            assert ElementTree.fromstring(content).tag == f"{SVG}svg"
        await own.stop()

    runner.run(draw_all())


def test_the_service_answers_while_a_picture_is_made(customer: Service) -> None:
    order = []

    async def ask(path: str, **parameters: Any) -> None:
        answer = await customer.client.get(path, params=parameters)
        assert answer.status_code == 200
        order.append(path)

    # A large picture takes much longer than all of these.
    large = ask("/v1/metrics/mrr", format="png", granularity="day", period="last_6_months")
    customer.gather(large, *(ask("/healthz") for _ in range(20)))
    assert order[-1] == "/v1/metrics/mrr"


def test_a_picture_that_takes_too_long_ends_its_process(runner: asyncio.Runner) -> None:
    async def draw() -> None:
        own = Renderer(seconds=0)
        with pytest.raises(Problem) as caught:
            await own.render(example("series"), "svg", scale=1)
        assert (caught.value.status, caught.value.code) == (503, "busy")
        assert caught.value.headers["Retry-After"]
        own._seconds = 60
        assert await own.render(example("series"), "svg", scale=1)
        await own.stop()

    runner.run(draw())


def test_a_picture_waits_for_its_turn_for_a_while_only(runner: asyncio.Runner) -> None:
    async def draw() -> None:
        own = Renderer(wait_seconds=0)
        await own._turn.acquire()
        with pytest.raises(Problem) as caught:
            await own.render(example("series"), "svg", scale=1)
        assert (caught.value.status, caught.value.code) == (503, "busy")

    runner.run(draw())


def test_many_pictures_of_one_caller_do_not_keep_another_one_waiting(runner: asyncio.Runner) -> None:
    async def draw() -> None:
        own = Renderer()
        drawn: list[str] = []

        async def draw_for(caller: str) -> None:
            current_caller.set(caller)
            await own.render(example("series"), "svg", scale=1)
            drawn.append(caller)

        tasks = [asyncio.create_task(draw_for("dashboard")) for _ in range(6)]
        await asyncio.sleep(0)
        await asyncio.gather(*tasks, asyncio.create_task(draw_for("person")))
        assert drawn.index("person") <= 1
        assert len(drawn) == 7
        await own.stop()

    runner.run(draw())


@pytest.mark.parametrize("is_noticed", [False, True])
def test_a_process_that_has_ended_is_replaced(runner: asyncio.Runner, is_noticed: bool) -> None:
    async def draw() -> None:
        own = Renderer()
        first = await own.render(example("series"), "svg", scale=1)
        assert own._process
        os.kill(own._process.pid, signal.SIGKILL)
        if is_noticed:
            own._process.wait()
        assert await own.render(example("series"), "svg", scale=1) == first
        await own.stop()

    runner.run(draw())


def test_a_picture_that_is_given_up_is_no_answer_to_the_next(runner: asyncio.Runner) -> None:
    async def draw() -> None:
        own = Renderer()
        task = asyncio.create_task(own.render(example("mrr_bridge"), "svg", scale=1))
        # Until its process has started.
        async with asyncio.timeout(PATIENCE):
            while own._process is None:  # noqa: ASYNC110
                await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        content = await own.render(example("onboarding_funnel"), "svg", scale=1)
        assert b"Onboarding" in content
        await own.stop()

    runner.run(draw())


def test_a_picture_that_ends_its_process_is_refused(runner: asyncio.Runner) -> None:
    async def draw() -> None:
        own = Renderer()
        # The limit of memory ends it before its first picture.
        with patch.object(render, "_start", start_and_kill), pytest.raises(Problem) as caught:
            await own.render(example("series"), "svg", scale=1)
        assert (caught.value.status, caught.value.code) == (422, "chart_too_large")
        await own.stop()

    start = render._start

    def start_and_kill() -> Any:
        process = start()
        process.kill()
        return process

    runner.run(draw())


def test_a_specification_loads_nothing(runner: asyncio.Runner) -> None:
    hits = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append(await reader.readline())
        writer.close()

    async def draw() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        own = Renderer()
        spec = example("series") | {"data": {"url": f"http://127.0.0.1:{port}/rows.json"}}
        with pytest.raises(RuntimeError):
            await own.render(spec, "svg", scale=1)
        await own.stop()
        server.close()
        await server.wait_closed()

    runner.run(draw())
    assert hits == []


def test_the_process_knows_no_secret(runner: asyncio.Runner) -> None:
    async def look() -> bytes:
        own = Renderer()
        await own.render(example("series"), "svg", scale=1)
        assert own._process
        about = Path(f"/proc/{own._process.pid}")
        environment, limits = about.joinpath("environ").read_bytes(), about.joinpath("limits").read_text()
        assert str(renderer.MAX_MEMORY) in limits
        await own.stop()
        return environment

    assert runner.run(look()) == b""


def test_without_the_extra_a_picture_says_what_to_install(customer: Service) -> None:
    with patch.object(formats, "_is_installed", return_value=False):
        answer = picture(customer, format="svg")
        assert (answer.status_code, answer.json()["code"]) == (422, "format_unavailable")
        assert "customer-success-metrics[charts]" in answer.json()["detail"]
        assert picture(customer, format="vega").status_code == 200
