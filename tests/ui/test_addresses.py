"""The address holds the whole state of a view: back, forward, reload and another browser show the same again."""

from random import Random
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.support.campaign import examples
from tests.support.process import ServiceProcess
from tests.support.views import EACH_VIEW, Reader, View, reader_of

_STEPS = 5
_WORDS = {"filter": 'plan = "starter"'}

# The values of all controls, and the requests of all cards.
_STATE = """() => ({
  controls: [...document.querySelectorAll(".controls :is(input, select, textarea)")].map((own) => [
    own.labels?.[0]?.textContent ?? own.getAttribute("aria-label"), own.type === "checkbox" ? own.checked : own.value,
  ]),
  requests: [...document.querySelectorAll("main footer code")].map((own) => own.textContent),
})"""


@EACH_VIEW
@pytest.mark.parametrize("seed", range(examples(1)))
def test_the_address_restores_every_state(company: ServiceProcess, view: View, seed: int) -> None:
    random = Random(seed)
    with reader_of(company, purpose="NO ADDRESS OF A VIEW IS TRIED") as reader:
        page = reader.page
        reader.open(view)
        states = [read_state(reader)]
        for _ in range(_STEPS):
            is_step = change_something(reader, random)
            if is_step is None:
                break
            if not is_step:
                states.pop()
            states.append(read_state(reader))
        for state in reversed(states[:-1]):
            page.go_back()
            assert read_state(reader) == state
        for state in states[1:]:
            page.go_forward()
            assert read_state(reader) == state
        for address, *state in states:
            page.goto(address)
            assert read_state(reader) == [address, *state]
            page.reload()
            assert read_state(reader) == [address, *state]


def read_state(reader: Reader) -> list[Any]:
    reader.wait()
    return [reader.page.url, *reader.page.evaluate(_STATE).values()]


def change_something(reader: Reader, random: Random) -> bool | None:
    """Change one of the controls of a view, which changes its address.

    Returns None without a control, else whether the browser goes back to the state before: always, but for typing and pulling.
    """
    # A choice of one is none.
    controls = reader.page.locator(".controls :is(input, select:has(option:nth-of-type(2))):visible:enabled").all()
    if not controls:
        return None
    control, address, length = random.choice(controls), reader.page.url, reader.page.evaluate("history.length")
    kind = control.evaluate("own => own.type")
    set_another_value(control, random)
    expect(reader.page).not_to_have_url(address)
    is_step = reader.page.evaluate("history.length") > length
    assert is_step or kind in ("search", "text", "range")
    return is_step


def set_another_value(control: Locator, random: Random) -> None:
    kind, value = control.evaluate("own => [own.type, own.value]")
    if kind.startswith("select"):
        options = control.locator("option:enabled").evaluate_all("all => all.map((own) => own.value)")
        control.focus()
        control.press("ArrowDown" if options.index(value) + 1 < len(options) else "ArrowUp")
    elif kind in ("checkbox", "radio"):
        control.click()
    elif kind == "range":
        control.focus()
        control.press("ArrowLeft" if random.random() < 0.5 else "ArrowRight")
    elif kind == "date":
        days = control.evaluate("own => [own.min, own.max]")
        control.fill(random.choice([day for day in ("2026-02-01", "2026-05-31", *filter(None, days)) if day != value]))
    else:
        name = "filter" if "filter" in (control.get_attribute("class") or "") else ""
        control.fill(random.choice([text for text in (_WORDS.get(name, "a"), "") if text != value]))
        control.press("Enter")
