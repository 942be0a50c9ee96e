"""Names of clients are data of a chart: written as they are, never interpreted."""

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from app.charts.examples import numbers, series_rows
from app.charts.texts import clean_name, join_names
from tests.charts.specs import EXPRESSIONS, build, check, compile, members, values
from tests.support.campaign import examples
from tests.support.service import Service, account_update, event

NAMES = [
    "datum.value",
    "'); alert(1); ('",
    '"]; window.location="http://evil.example"; ["',
    "${1+1}",
    "{signal: 'width'}",
    "constructor",
    "__proto__",
    "toString",
    "valueOf",
    "hasOwnProperty",
    "null",
    "NaN",
    "a.b[0]['c']",
    "http://evil.example/x.json",
    "javascript:alert(1)",
    "<script>alert(1)</script>",
    "</svg><image href='http://evil.example/x.png'/>",
    "&lt;&amp;",
    "=cmd()",
    "a\u202eevil",
    "שלום",
    "name with a \\ and a `",
    "\ufffe\uffff\u2028",
    "x" * 120,
]
PLAIN = [f"plan {number:02}" for number in range(len(NAMES))]


# What a picture of ours is made of: nothing that runs, loads or links.
ELEMENTS = {"svg", "g", "path", "rect", "text", "line", "tspan"}


def answer(names: list[str], *, key: str = "plan") -> dict[str, Any]:
    rows = [row for name in names for row in series_rows("mrr", [10.0, 20.0, 30.0], group={key: name})]
    return numbers(rows, group_by=[key])


def structure(node: Any) -> Any:
    """A specification with the place of each text, but not the text."""
    if isinstance(node, dict):
        return {name: structure(value) for name, value in node.items()}
    if isinstance(node, list):
        return [structure(value) for value in node]
    return "text" if isinstance(node, str) else node


def expressions(node: Any) -> list[Any]:
    return [value for name, value in members(node) if name in EXPRESSIONS and isinstance(value, str)]


@pytest.mark.parametrize("chart", ["series", "bars", "stacked_bars"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_changes_no_expression_and_no_structure(name: str, chart: str) -> None:
    hostile = check(build("numbers", answer([name, "other"], key=name), name=chart))
    plain = build("numbers", answer(["x", "other"], key="plan"), name=chart)
    assert expressions(hostile) == expressions(plain)
    assert {own["series"] for own in values(hostile)} == {clean_name(name), "other"}
    # Lines of titles depend on lengths, and nothing else does.
    for spec in (hostile, plain):
        spec["title"]["subtitle"], spec["height"] = ["text"], 0
    # So does the number of columns of the legend.
    assert structure(without_columns(hostile)) == structure(without_columns(plain))


def without_columns(node: Any) -> Any:
    text = json.dumps(node)
    return json.loads(text.replace('"columns": 1', '"columns": 2'))


def test_what_vega_makes_of_names_has_no_expression_with_them() -> None:
    hostile, plain = (compile(build("numbers", answer(names[:8]), name="series")) for names in (NAMES, PLAIN))
    assert expressions(hostile) == expressions(plain)


@given(st.text(max_size=200))
@settings(max_examples=examples(50), deadline=None)
def test_a_clean_name_is_one_line_of_characters_that_may_be_in_a_picture(name: str) -> None:
    clean = clean_name(name)
    assert len(clean) <= 120 and clean == clean.strip() and clean == clean_name(clean)
    assert not any(character < " " or "\u202a" <= character <= "\u202e" for character in clean)


def test_names_of_several_parts_keep_their_directions_to_themselves() -> None:
    assert join_names(["שלום", "pro"]) == "\u2068שלום\u2069 · \u2068pro\u2069"
    assert join_names([True]) == "true" and join_names([None]) == "none"


def test_equal_names_of_different_values_are_numbered() -> None:
    rows = [row for value in ("1", 1, True, "true") for row in series_rows("mrr", [1.0], group={"x": value})]
    series = {own["series"] for own in values(build("numbers", numbers(rows, group_by=["x"])))}
    assert series == {"1", "1 (2)", "true", "true (2)"}


def test_hostile_names_are_drawn_as_pictures(service: Service) -> None:
    names = [name.replace("\u2028", "") for name in NAMES]
    service.send(
        *(account_update(f"a{number}", plan=name) for number, name in enumerate(names)),
        *(
            event("subscription.changed", f"a{number}", at="2026-01-05", subscription_id="s", mrr="10")
            for number in range(len(names))
        ),
    )
    for parameters in ({"period": "2026-01"}, {"period": "last_3_months"}):
        response = service.request("GET", "/v1/metrics/mrr", params={"group_by": "plan", "format": "svg"} | parameters)
        assert response.status_code == 200, response.text
        assert elements(response.text) <= ELEMENTS


def elements(svg: str) -> set[str]:
    return {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in ElementTree.fromstring(svg).iter()}


@pytest.mark.parametrize("chart", ["series", "bars", "stacked_bars", "ranking"])
@pytest.mark.parametrize("name", NAMES)
def test_vega_draws_every_name(name: str, chart: str) -> None:
    body = answer([name, "other"])
    if chart == "ranking":
        body["rows"] = [row for row in body["rows"] if row["period"] == "2026-10"]
    svg = vl_convert.vegalite_to_svg(json.dumps(build("numbers", body, name=chart)), vl_version="6.4")
    assert elements(svg) <= ELEMENTS
