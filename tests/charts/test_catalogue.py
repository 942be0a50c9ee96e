"""The catalogue of charts: each is a valid specification, readable for everybody, and the same in every theme."""

import altair
import pytest

from app.charts.choose import charts_of, choose_chart
from app.charts.define import ANSWERS, CHARTS, Chart, ChartAnswer
from app.charts.theme import THEMES, theme_config
from app.core.errors import Invalid
from tests.charts.specs import check, compile, example, layers, members, values
from tests.support.service import Service

ALL = [pytest.param(chart, id=name) for name, chart in CHARTS.items()]


@pytest.mark.parametrize("chart", ALL)
def test_a_chart_is_a_valid_specification_in_every_theme(chart: Chart) -> None:
    for theme in THEMES:
        spec = check(example(chart.name, theme=theme))
        assert spec["config"] == theme_config(theme)
        altair_spec = altair.Chart.from_dict(spec).to_dict()
        # Altair adds the size that a view has without one.
        assert {name: altair_spec[name] for name in spec if name != "config"} == {
            name: value for name, value in spec.items() if name != "config"
        }


@pytest.mark.parametrize("chart", ALL)
def test_a_chart_is_the_same_in_every_theme_but_for_its_configuration(chart: Chart) -> None:
    light, dark = (example(chart.name, theme=theme) for theme in THEMES)
    assert light.pop("config") != dark.pop("config")
    assert light == dark
    # So no color is anywhere else.
    texts = [value for _, value in members(light) if isinstance(value, str)]
    assert [text for text in texts if text.startswith(("#", "rgb", "hsl")) or text in ("white", "black")] == []


@pytest.mark.parametrize("chart", ALL)
def test_a_chart_is_the_same_whenever_it_is_drawn(chart: Chart) -> None:
    assert example(chart.name) == example(chart.name)


@pytest.mark.parametrize("chart", ALL)
def test_every_mark_is_described_or_silent(chart: Chart) -> None:
    spec = example(chart.name)
    assert spec["description"].startswith(spec["title"]["text"][0]) and len(spec["description"]) > 40
    for layer in layers(spec):
        is_silent = layer["mark"].get("aria") is False
        assert is_silent != ("description" in layer["encoding"]), layer["mark"]
    assert all(value["text"] for value in values(spec))


@pytest.mark.parametrize("chart", ALL)
def test_lines_have_points_and_styles_exist(chart: Chart) -> None:
    spec = example(chart.name)
    marks = [layer["mark"] for layer in layers(spec)]
    if "line" in {mark["type"] for mark in marks}:
        assert "point" in {mark["type"] for mark in marks}
    assert {mark["style"] for mark in marks} <= theme_config("light")["style"].keys() | {"running-bar"}
    assert theme_config("light")["style"].keys() == theme_config("dark")["style"].keys()


@pytest.mark.parametrize("chart", ALL)
def test_vega_lite_understands_a_chart(chart: Chart) -> None:
    vega = compile(example(chart.name))
    assert vega["marks"] and vega["description"]


@pytest.mark.parametrize("chart", ALL)
def test_an_example_is_an_answer_that_makes_the_chart(chart: Chart) -> None:
    answer = ChartAnswer(chart.example)
    assert chart.needs(answer) is None
    assert choose_chart(chart.of, chart.name, answer) == chart
    assert chart.path.startswith(tuple(path.partition("{")[0] for path in ANSWERS[chart.of]))
    if "chart=" not in chart.path:
        assert choose_chart(chart.of, None, answer) == chart


def test_every_kind_of_answer_has_a_chart() -> None:
    assert {kind for kind in ANSWERS if not charts_of(kind)} == set()


def test_a_chart_of_another_answer_is_refused_with_those_that_there_are() -> None:
    answer = ChartAnswer(CHARTS["roc"].example)
    with pytest.raises(Invalid) as caught:
        choose_chart("backtest", "retention_triangle", answer)
    assert caught.value.code == "unknown_chart"
    assert "calibration, roc" in caught.value.detail


def test_the_catalogue_is_listed(service: Service) -> None:
    charts = service.get("/v1/charts")["charts"]
    assert [own["name"] for own in charts] == list(CHARTS)
    paths = service.get("/openapi.json")["paths"]
    for own in charts:
        assert own["description"].endswith(".") and own["when"].endswith(".")
        for path in own["paths"]:
            names = {parameter["name"] for parameter in paths[path]["get"]["parameters"]}
            assert {"format", "chart", "theme", "width", "height", "scale"} <= names
            assert "image/svg+xml" in paths[path]["get"]["responses"]["200"]["content"]
