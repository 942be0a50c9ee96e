"""What tests of charts share: requests, the schema of Vega-Lite, and what may be in a specification."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import vl_convert
from jsonschema import Draft7Validator
from pydantic_core import to_json

from app.charts.define import CHARTS
from app.charts.draw import build_chart
from tests.support.service import Service

Spec = dict[str, Any]

# The members of a specification in which a text is an expression or leads to something outside.
EXPRESSIONS = {"filter", "labelExpr", "expr", "signal", "test", "calculate"}
OUTSIDE = {"url", "href", "loader", "name_url", "format_url"}


@cache
def vega_lite() -> Draft7Validator:
    """Return the validator of the Vega-Lite schema that altair brings."""
    text = files("altair.vegalite.v6.schema").joinpath("vega-lite-schema.json").read_text(encoding="utf-8")
    return Draft7Validator(json.loads(text))


def check(spec: Spec) -> Spec:
    """Return a specification after a check that it is valid, and leads nowhere."""
    errors = [error.message[:300] for error in vega_lite().iter_errors(spec)]
    assert errors == []
    # The schema itself is named by a URL, which is loaded by nobody.
    assert {name for name, _ in members({**spec, "$schema": ""})} & OUTSIDE == set()
    return spec


def example(name: str, **options: Any) -> Spec:
    """Return the specification of a chart's example, as a client gets it."""
    chart = CHARTS[name]
    return as_json(build_chart(chart.of, chart.example, currency="EUR", name=name, **options))


def build(kind: str, body: Any, **options: Any) -> Spec:
    """Return the specification of an answer, as a client gets it."""
    return as_json(build_chart(kind, body, currency="EUR", **options))


def as_json(value: Any) -> Any:
    return json.loads(to_json(value))


def draw(service: Service, path: str, **parameters: Any) -> Spec:
    """Return the specification that a request answers."""
    spec: Spec = service.get(path, format="vega", **parameters)
    return check(spec)


def values(spec: Spec) -> list[dict[str, Any]]:
    """Return the data of a specification: that of the whole, or of its views."""
    found = [*spec["data"]["values"]] if "data" in spec else []
    if found:
        return found
    return [row for view in spec.get("vconcat", spec.get("hconcat", ())) for row in view["data"]["values"]]


def members(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield all members of a specification, with those inside, but for its data."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield name, value
            if name != "values":
                yield from members(value)
    elif isinstance(node, list):
        for value in node:
            yield from members(value)


def layers(node: Any) -> Iterator[Spec]:
    """Yield all layers with a mark."""
    if isinstance(node, dict):
        if "mark" in node:
            yield node
        for name in ("layer", "vconcat", "hconcat"):
            for view in node.get(name, ()):
                yield from layers(view)


def compile(spec: Spec) -> Spec:
    """Return the Vega specification that Vega-Lite makes of one."""
    vega: Spec = vl_convert.vegalite_to_vega(json.dumps(spec), vl_version="6.4")
    return vega
