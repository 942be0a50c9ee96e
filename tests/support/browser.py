"""A browser that reaches nothing but the service."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from tests.support.service import PATIENCE


@contextmanager
def browser_page(
    url: str, *, purpose: str, is_fault: Callable[[str], bool] = lambda _: True, **options: Any
) -> Iterator[Page]:
    """Return a page of Chromium for which there is no other server than that of the URL.

    It fails on whatever the page could not load or run. purpose: what is not done where there is no Chromium. is_fault: whether a
    text of the console or of an error is one. options: those of the browser's context.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip(f"the program chromium is missing, so {purpose}")
    faults: list[str] = []

    def route(request: Route) -> None:
        if request.request.url.startswith((url, "data:")):
            request.continue_()
        else:
            faults.append(f"outside: {request.request.url}")
            request.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            page = browser.new_page(**options)
            page.set_default_timeout(1_000 * PATIENCE)
            expect.set_options(timeout=1_000 * PATIENCE)
            page.route("**/*", route)
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
            # A browser reports each refused request, and each violation of a policy, in its console.
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            yield page
        finally:
            browser.close()
    unexpected = [fault for fault in faults if is_fault(fault)]
    assert not unexpected, unexpected
