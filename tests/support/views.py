"""The views of the page: which there are, and a reader who opens them in a browser."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page, Request, expect

from app.ui.assets import FOLDER
from tests.support.browser import browser_page
from tests.support.process import ServiceProcess
from tests.support.service import ADMIN_KEY, PATIENCE

_MODULES = Path(__file__).parents[2] / "build" / "vendor" / "node_modules"


class View(NamedTuple):
    """A view. is_detail: that of one thing, whose id is the second part of the address."""

    name: str
    is_detail: bool = False


def _names_in(constant: str) -> list[str]:
    """Return the names of the views in an object of main.js."""
    text = (FOLDER / "main.js").read_text()
    body = re.search(rf"^const {constant} = \{{(.*?)\}};$", text, re.MULTILINE | re.DOTALL)
    assert body, constant
    return re.findall(r'^ *"?([\w-]+)"?: \(\) => import\(', body[1], re.MULTILINE)


VIEWS = [*map(View, _names_in("VIEWS")), *(View(name, True) for name in _names_in("DETAILS"))]
EACH_VIEW = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name + "/one" * view.is_detail)


class Reader:
    """Somebody who is signed in and looks at views."""

    def __init__(self, page: Page, process: ServiceProcess) -> None:
        self.page, self.process = page, process
        self.requests: list[Request] = []
        self._awaited: set[Request] = set()
        page.on("request", self._begin)
        for ending in ("requestfinished", "requestfailed"):
            page.on(ending, lambda request: self._awaited.discard(request))  # type: ignore[call-overload]
        answer = page.request.post(f"{process.url}/session", data={"key": ADMIN_KEY}, headers={"Origin": process.url})
        assert answer.status == 201, answer.text()

    def _begin(self, request: Request) -> None:
        if request.is_navigation_request():
            # Nobody says how the requests of the document before have ended.
            self._awaited.clear()
        self.requests.append(request)
        self._awaited.add(request)

    def open(self, view: View, query: str = "") -> None:
        """Open a view, and wait for it. Of the views of one thing, that which the list has first."""
        path = "" if view.name == "overview" else view.name
        if view.is_detail:
            self.go(f"{self.process.url}/{path}")
            link = self.page.locator(f'main a[data-view][href*="/{path}/"]').first
            self.go(link.evaluate("link => link.href") + query)
        else:
            self.go(f"{self.process.url}/{path}{query}")

    def go(self, address: str) -> None:
        self.page.goto(address)
        self.wait()

    def wait(self) -> None:
        """Wait until nothing is loaded and every chart is drawn."""
        page = self.page
        expect(page.locator('main[aria-busy="false"]')).to_have_count(1)
        expect(page.locator("main > :not(.sr)").first).to_be_attached()
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        # Not everything that is awaited says so.
        deadline = time.monotonic() + PATIENCE
        while self._awaited:
            assert time.monotonic() < deadline, [request.url for request in self._awaited]
            page.wait_for_timeout(20)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        expect(page.locator(".chart:not(:has(svg[aria-label]))")).to_have_count(0)

    def questions(self) -> list[str]:
        """Return the paths that were asked for, in the order of their requests."""
        paths: list[str] = []
        for own in self.requests:
            if own.url == f"{self.process.url}/answers":
                paths += json.loads(own.post_data or "{}")["paths"]
            elif own.url.startswith(f"{self.process.url}/v1/"):
                paths.append(own.url.removeprefix(self.process.url))
        return paths

    def find_faults(self) -> list[str]:
        """Return what axe finds on the view: what keeps people from using it. Skips the test without axe."""
        path = _MODULES / "axe-core" / "axe.min.js"
        if not path.exists():
            pytest.skip("axe is missing (`make types` installs it, with npm), so NO VIEW IS CHECKED FOR ACCESSIBILITY")
        self.page.evaluate(path.read_text())
        result = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{own['id']}: {node['html'][:300]} {node['failureSummary']}"
            for own in result["violations"]
            for node in own["nodes"]
        ]


@contextmanager
def reader_of(process: ServiceProcess, *, purpose: str, **options: Any) -> Iterator[Reader]:
    """Return a reader with a browser of their own; see `browser_page`."""
    with browser_page(process.url, purpose=purpose, **options) as page:
        yield Reader(page, process)
