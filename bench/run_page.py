"""Measure the page in Chromium: the first paint, how it scrolls, and the search.

    python -m bench.run_page [--rounds 7] [--slow-down 4] [--accounts 2000 --accounts 20000]

The first paint is of the overview with the demo, in a browser with an empty cache, on a processor that is made slower. A list
of accounts is scrolled to its end; a task of the browser of more than 50 ms would be seen as a jerk. The search is for an account
among them, from the last key to the row, with the pause after typing.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

import typer
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydantic_core import to_json

from bench.client import build_request, send_all
from bench.processes import Postgres, Server, run_command, run_postgres, run_service

_ACCOUNTS_PER_REQUEST = 500
_PLANS = ("starter", "team", "enterprise")
# What moves when a list is scrolled, and what is added to it.
_POSITION = """() => [
  scrollY, ...[...document.querySelectorAll(".scroll")].map((own) => own.scrollTop), document.querySelectorAll("main tr").length,
]"""
_LONG_TASKS = """window.longTasks = [];
new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask" });"""
_PAINT = """() => ({
  paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
  complete: performance.now(),
})"""


def main(
    rounds: Annotated[int, typer.Option(help="How often the overview is opened.")] = 7,
    slow_down: Annotated[float, typer.Option(help="How many times slower the processor is for the first paint.")] = 4,
    accounts: Annotated[list[int], typer.Option(help="Accounts in the list; repeatable.")] = [2_000, 20_000],  # noqa: B006
) -> None:
    """Measure, and print a line for each figure."""
    with TemporaryDirectory(prefix="csm-bench-") as name:
        folder = Path(name)
        # PostgreSQL has a user of its own, who has to get there.
        folder.chmod(0o755)
        with run_postgres(folder / "server") as postgres, start_browser() as browser:
            postgres.create("demo")
            run_command(postgres.database("demo"), "demo")
            with run_service(postgres.database("demo"), log=folder / "demo.log") as server:
                measure_paint(browser, server, rounds=rounds, slow_down=slow_down)
            for count in accounts:
                load_accounts(postgres, count, folder)
                with run_service(postgres.database("list"), log=folder / "list.log") as server:
                    measure_list(browser, server, count)


@contextmanager
def start_browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, server: Server) -> Iterator[tuple[Page, str]]:
    """Return a page of a browser that is signed in and has an empty cache, and the address of the service."""
    address = f"http://127.0.0.1:{server.port}"
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        answer = page.request.post(
            f"{address}/session", data={"key": server.keys["admin"]}, headers={"Origin": address}
        )
        assert answer.ok, answer.text()
        page.add_init_script(_LONG_TASKS)
        yield page, address
    finally:
        context.close()


def wait_until_complete(page: Page) -> None:
    expect(page.locator('main[aria-busy="false"]')).to_have_count(1)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".chart:not(:has(svg[aria-label]))")).to_have_count(0)


def measure_paint(browser: Browser, server: Server, *, rounds: int, slow_down: float) -> None:
    """Open the overview several times. The first time is not counted, as the service compresses its files then."""
    figures: list[dict[str, float]] = []
    for _ in range(rounds + 1):
        with open_page(browser, server) as (page, address):
            network = page.context.new_cdp_session(page)
            sizes: list[float] = []
            network.send("Network.enable")
            network.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
            network.send("Emulation.setCPUThrottlingRate", {"rate": slow_down})
            page.goto(address)
            wait_until_complete(page)
            figures.append(page.evaluate(_PAINT) | {"bytes": sum(sizes)})
    paints, complete, sizes = ([own[name] for own in figures[1:]] for name in ("paint", "complete", "bytes"))
    print(  # noqa: T201
        f"overview, {slow_down:g}x slower: first paint {median(paints):.0f} ms ({min(paints):.0f} to {max(paints):.0f}), "
        f"complete {median(complete):.0f} ms, {median(sizes) / 1e3:.0f} kB"
    )


def load_accounts(postgres: Postgres, count: int, folder: Path) -> None:
    """Make the database `list` with accounts that have a name, a plan and a subscription."""
    postgres.create("list")
    at = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    with run_service(postgres.database("list"), log=folder / "load.log") as server:
        requests = []
        for start in range(0, count, _ACCOUNTS_PER_REQUEST):
            numbers = range(start, min(start + _ACCOUNTS_PER_REQUEST, count))
            batch = [event for number in numbers for event in account_events(number, at)]
            request = build_request("POST", "/v1/events", key=server.keys["ingest"], body=to_json(batch))
            requests.append((request, len(batch)))
        send_all(server.port, requests, clients=1)


def account_events(number: int, at: str) -> list[dict[str, Any]]:
    envelope = {"account_id": f"account-{number:05}", "occurred_at": at}
    update = {"name": f"Company {number}", "attributes": {"plan": _PLANS[number % 3]}}
    subscription = {"subscription_id": "main", "mrr": str(100 + number % 900)}
    return [
        envelope | {"id": "name", "type": "account.updated", "data": update},
        envelope | {"id": "subscription", "type": "subscription.changed", "data": subscription},
    ]


def measure_list(browser: Browser, server: Server, count: int) -> None:
    """Scroll through the list to its end, and search for its last account."""
    with open_page(browser, server) as (page, address):
        page.goto(f"{address}/accounts")
        wait_until_complete(page)
        page.evaluate("window.longTasks.length = 0")
        rows = scroll_to_the_end(page)
        tasks = page.evaluate("window.longTasks")
        print(  # noqa: T201
            f"{count:,} accounts: {rows:,} rows scrolled, {len(tasks)} long tasks, the longest {max(tasks, default=0):.0f} ms"
        )
        times = []
        for number in (count - 1, count // 2, count // 3):
            field = page.get_by_role("searchbox").first
            field.fill("")
            wait_until_complete(page)
            field.fill(f"Company {number}")
            start = perf_counter()
            expect(page.locator("main tbody").get_by_text(f"Company {number}", exact=True)).to_be_visible()
            expect(page.locator("main tbody tr")).not_to_have_count(0)
            times.append(perf_counter() - start)
        print(f"{count:,} accounts: found after {1e3 * median(times):.0f} ms")  # noqa: T201


def scroll_to_the_end(page: Page) -> int:
    """Turn the wheel until nothing moves any more, asking for more rows where there is a button. Return the number of rows."""
    page.locator("main tbody tr").first.hover()
    last: Any = None
    while True:
        for _ in range(10):
            page.mouse.wheel(0, 700)
            page.wait_for_timeout(30)
        wait_until_complete(page)
        position = page.evaluate(_POSITION)
        if position == last:
            return int(page.locator("main tbody tr").count())
        last = position


if __name__ == "__main__":
    typer.run(main)
