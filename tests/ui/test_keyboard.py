"""A view by the keyboard alone."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.process import ServiceProcess
from tests.support.views import EACH_VIEW, View, reader_of

# What the keyboard has to reach, in the order of the document: of a group of radio buttons, one.
_MARK = """() => {
  const candidates = document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, [contenteditable=true], [tabindex]:not([tabindex='-1'])");
  const isReachable = (own) => !own.disabled && own.tabIndex >= 0 && own.checkVisibility({ visibilityProperty: true });
  const groups = new Set();
  const isFirst = (own) => own.type !== "radio" || (!groups.has(own.name) && groups.add(own.name));
  window.controls = [...candidates].filter(isReachable).filter(isFirst);
  return window.controls.length;
}"""

# Where the focus is, and whether one can see that.
_FOCUS = """() => {
  const own = document.activeElement;
  if (own === document.body) return null;
  const box = own.getBoundingClientRect();
  const style = getComputedStyle(own);
  return {
    number: window.controls.findIndex((control) => control === own || (own.type === "radio" && control.name === own.name)),
    html: own.outerHTML.slice(0, 160),
    visible: own.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


@EACH_VIEW
def test_the_keyboard_reaches_every_control_and_shows_where_it_is(company: ServiceProcess, view: View) -> None:
    with reader_of(company, purpose="NO VIEW IS WALKED BY KEYBOARD") as reader:
        page = reader.page
        reader.open(view)
        address, count = page.url, page.evaluate(_MARK)
        steps = walk(page)
        assert [step for step in steps if not (step["visible"] and step["inside"])] == []
        reached = [step["number"] for step in steps if step["number"] >= 0]
        assert sorted(set(range(count)) - set(reached)) == [], page.evaluate(
            "numbers => numbers.map((number) => window.controls[number].outerHTML.slice(0, 160))",
            sorted(set(range(count)) - set(reached)),
        )
        # The order is that of the document, so that the focus never jumps.
        assert reached == sorted(reached)
        # The first stop leads past the navigation, and stays in the view.
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        assert page.url.partition("#")[0] == address
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")


def walk(page: Page) -> list[dict[str, Any]]:
    """Press Tab until the focus leaves the page, and return where it was; a control with several parts, such as a date, once."""
    page.evaluate("document.activeElement.blur()")
    steps: list[dict[str, Any]] = []
    while True:
        page.keyboard.press("Tab")
        step = page.evaluate(_FOCUS)
        if step is None or (steps and step["number"] == steps[0]["number"] and len(steps) > 1):
            return steps
        if not steps or step["html"] != steps[-1]["html"] or step["number"] != steps[-1]["number"]:
            steps.append(step)


def test_the_navigation_opens_every_view_by_keyboard(company: ServiceProcess) -> None:
    with reader_of(company, purpose="NO VIEW IS OPENED BY KEYBOARD") as reader:
        page = reader.page
        reader.go(f"{company.url}/")
        links = page.get_by_role("navigation").get_by_role("link")
        for number in reversed(range(links.count())):
            link, before = links.nth(number), page.url
            page.evaluate("document.activeElement.blur()")
            while not link.evaluate("own => own === document.activeElement"):
                page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            reader.wait()
            assert page.url == link.evaluate("own => own.href")
            expect(link).to_have_attribute("aria-current", "page")
            # Whoever cannot see the page hears where they are.
            if page.url != before:
                expect(page.locator("main")).to_be_focused()
            expect(page).to_have_title(re.compile(f"^{link.inner_text()}\\b"))
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
