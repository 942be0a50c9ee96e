"""The numbers on a view are those of the API, to the request that is shown beside them."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from playwright.sync_api import Locator, Page

from tests.support.process import ServiceProcess
from tests.support.views import EACH_VIEW, Reader, View, reader_of

# A number as it is written for an English reader, with its sign and currency.
_NUMBER = re.compile(r"[-+−]?[$€£]?\d[\d,.]*(?:[KMBT]\b)?")

# The texts of an element, without those that are no part of an answer.
_TEXTS = """(element, left) => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const texts = [];
  const others = ["thead, caption, svg, label, select, button, code", ...(left ? [left] : [])].join(", ");
  const isOther = (node) => node.parentElement.closest(others);
  while (walker.nextNode()) if (!isOther(walker.currentNode)) texts.push(walker.currentNode.data);
  return texts.join(" ");
}"""

# All ways in which format.js writes the numbers and days of an answer.
_FORMATS = """async ({ values, days, currency, timezone }) => {
  const format = await import(document.querySelector("script[type=module]").src.replace("main.js", "format.js"));
  const units = ["percent", "money", "count", "seconds"];
  const write = (value) => [
    String(value), format.formatNumber(value), format.formatAmount(value, currency), format.formatNumber(Math.round(value)),
    ...units.flatMap((unit) => ["formatShort", "formatValue", "formatChange"].map((name) => format[name](value, unit, currency))),
  ];
  const date = (day) => [format.formatDay(day), ...(day.includes("T") ? [format.formatTime(day, timezone)] : [])];
  return [...values.flatMap(write), ...days.flatMap(date)];
}"""


@EACH_VIEW
def test_every_number_is_in_the_answer_to_the_request_beside_it(company: ServiceProcess, view: View) -> None:
    with reader_of(company, purpose="NO NUMBER OF THE PAGE IS COMPARED") as reader:
        reader.open(view)
        count = sum(compare(reader, card).total() for card in cards_of(reader.page))
        assert count, "The view shows no number."
        # What stands beside the cards is in one of the answers that the view has asked for.
        answers = [reader.process.request("GET", path).json() for path in {*map(plain, reader.questions())}]
        known = set(numbers_in(" ".join(write_all(reader, answers))))
        rest = numbers_in(reader.page.locator("main").evaluate(_TEXTS, ".card:has(> footer code)"))
        assert {number for number in rest if number not in known} == set()


def cards_of(page: Page) -> list[Locator]:
    """Return what has a request beside it, charts as their tables."""
    toggles = page.locator(".card > header button[aria-pressed=false]")
    for _ in range(toggles.count()):
        toggles.first.click()
    return page.locator(".card:has(> footer code)").all()


def compare(reader: Reader, card: Locator) -> Counter[str]:
    """Compare a card with the answer to its request, and return the numbers of the card."""
    reader.wait()
    path = card.locator("> footer code").inner_text().removeprefix("GET ")
    answer = reader.process.request("GET", path)
    assert answer.status_code == 200, f"{path}: {answer.text}"
    body = answer.json()
    shown = numbers_in(card.locator("> .content").evaluate(_TEXTS))
    known = set(numbers_in(" ".join(write_all(reader, body))))
    assert {number for number in shown if number not in known} == set(), path
    if card.locator("> header button[aria-pressed=true]").count() and "rows" in body and "/v1/cohorts" not in path:
        # The twin of a chart leaves nothing out.
        rows = [row for row in body.get("rows", ()) if "value" in row]
        assert numbers_in(" ".join(write_values(reader, rows))) - shown == Counter(), path
    return shown


def plain(path: str) -> str:
    """Return a question without the parameters that make a chart of its answer."""
    before, _, query = path.partition("?")
    params = [own for own in query.split("&") if own.partition("=")[0] not in ("format", "theme", "")]
    return f"{before}?{'&'.join(params)}" if params else before


def numbers_in(text: str) -> Counter[str]:
    return Counter(number.strip(".,") for number in _NUMBER.findall(text.replace("\u00a0", " ").replace("\u202f", " ")))


def write_all(reader: Reader, body: Any) -> list[str]:
    """Return all texts of an answer, and its numbers and days in every form in which the page may show them."""
    values, texts = [], []
    for leaf in leaves_of(body):
        if isinstance(leaf, str):
            texts.append(leaf)
            if re.fullmatch(r"-?\d+(\.\d+)?", leaf):
                values.append(float(leaf))
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
            values.append(leaf)
    days = [text for text in texts if re.fullmatch(r"\d{4}-\d\d-\d\d(T.*)?", text)]
    session = reader.process.request("GET", "/session").json()
    books = {"currency": session["currency"], "timezone": session["timezone"]}
    return [*texts, *reader.page.evaluate(_FORMATS, {"values": values, "days": days, **books})]


def write_values(reader: Reader, rows: list[dict[str, Any]]) -> list[str]:
    """Return the values of metrics as a table shows them."""
    units = {own["name"]: own["unit"] for own in reader.process.request("GET", "/v1/metrics").json()["metrics"]}
    values = [[row["value"], units[row["metric"]]] for row in rows]
    return reader.page.evaluate(
        """async ([values, currency]) => {
          const format = await import(document.querySelector("script[type=module]").src.replace("main.js", "format.js"));
          return values.map(([value, unit]) => format.formatValue(value, unit, currency));
        }""",
        [values, reader.process.request("GET", "/session").json()["currency"]],
    )


def leaves_of(body: Any) -> Iterable[Any]:
    if isinstance(body, dict):
        for name, value in body.items():
            yield name
            yield from leaves_of(value)
    elif isinstance(body, list):
        yield len(body)
        # The page says how a value has changed.
        values = [own["value"] for own in body if isinstance(own, dict) and isinstance(own.get("value"), int | float)]
        yield from (after - before for before, after in pairwise(values))
        for value in body:
            yield from leaves_of(value)
    else:
        yield body
