"""Draw the pictures of the guide again: `python -m tests.charts.images`. Look at each of them before it is committed."""

import json
from pathlib import Path

import vl_convert
from pydantic_core import to_json

from app.catalogues import load_catalogues
from app.charts.define import CHARTS
from app.charts.draw import build_chart
from app.charts.theme import THEMES

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "charts"
WIDTH = 520


def main() -> None:
    """Draw each chart's example in every theme."""
    load_catalogues()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, chart in CHARTS.items():
        for theme in THEMES:
            spec = build_chart(chart.of, chart.example, currency="EUR", name=name, theme=theme, width=WIDTH)
            png = vl_convert.vegalite_to_png(json.dumps(json.loads(to_json(spec))), vl_version="6.4", scale=1)
            (FOLDER / f"{name}-{theme}.png").write_bytes(png)


if __name__ == "__main__":
    main()
