"""How charts look: colors, sizes and styles, as Vega-Lite configurations.

A specification names styles and ranges only, so it is the same in every theme, and a page changes the theme by changing `config`.

Ranges: `category` tells series apart; its colors differ for people with each kind of color blindness as well, and have a contrast
of 3:1 to the background; shapes tell series apart in gray. `ordinal` is worst, middle, best and neutral; what they mean is always
written as well. `heatmap` goes from little to much.
"""

from typing import Any, Literal, NamedTuple

ThemeName = Literal["light", "dark"]

# The width of a character of a title on average, and of another text, in pixels.
TITLE_CHARACTER, TEXT_CHARACTER = 8.2, 6.2
# Names are cut off at so many pixels; tooltips and descriptions have them in full.
NAME_PIXELS = 170

_FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'Noto Sans', sans-serif"


class _Colors(NamedTuple):
    background: str
    text: str
    quiet: str
    grid: str
    category: list[str]
    ordinal: list[str]
    heatmap: list[str]
    on_little: str
    on_much: str


_COLORS: dict[ThemeName, _Colors] = {
    "light": _Colors(
        background="#ffffff",
        text="#1d2433",
        quiet="#596475",
        grid="#e3e7ec",
        category=["#1f62c9", "#d97200", "#106042", "#a96a87", "#2b3350", "#7a7535", "#80001f", "#3398c2"],
        ordinal=["#8f1d2c", "#c08400", "#0b7a75", "#8a95a3"],
        heatmap=["#f1f6fe", "#d9e6fb", "#bcd3f7", "#98bbf0", "#3e73cc", "#1c4fa3"],
        on_little="#1d2433",
        on_much="#ffffff",
    ),
    "dark": _Colors(
        background="#161b22",
        text="#e8ebf0",
        quiet="#a3adba",
        grid="#2d3540",
        category=["#6ea3ff", "#d27a39", "#23d676", "#c37ebb", "#e0e8d3", "#ddce29", "#dc356f", "#abeaff"],
        ordinal=["#e5484d", "#f0c24b", "#35b5a9", "#68727f"],
        heatmap=["#1e2a3d", "#24385a", "#2b487a", "#355c9e", "#7fabf5", "#b5d2ff"],
        on_little="#e8ebf0",
        on_much="#10151c",
    ),
}
THEMES: tuple[ThemeName, ...] = ("light", "dark")


def theme_config(name: ThemeName) -> dict[str, Any]:
    """Return the Vega-Lite configuration of a theme."""
    colors = _COLORS[name]
    return {
        "background": colors.background,
        "font": _FONT,
        "padding": 16,
        "view": {"stroke": None},
        "concat": {"spacing": 22},
        **_guides(colors),
        "range": {"category": colors.category, "ordinal": colors.ordinal, "heatmap": colors.heatmap},
        "style": _styles(colors),
    }


def _guides(colors: _Colors) -> dict[str, Any]:
    """Return how titles, axes and legends look."""
    return {
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": colors.text,
            "fontSize": 15,
            "fontWeight": 600,
            "offset": 14,
            "subtitleColor": colors.quiet,
            "subtitleFontSize": 12,
            "subtitleLineHeight": 16,
            "subtitlePadding": 5,
        },
        "axis": {
            "domainColor": colors.quiet,
            "gridColor": colors.grid,
            "labelColor": colors.text,
            "labelFontSize": 11,
            "labelLimit": NAME_PIXELS,
            "labelPadding": 5,
            "tickColor": colors.quiet,
            "titleColor": colors.quiet,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "titlePadding": 8,
        },
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False},
        "legend": {
            "labelColor": colors.text,
            "labelFontSize": 11,
            "labelLimit": NAME_PIXELS,
            "titleColor": colors.quiet,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "symbolStrokeWidth": 2,
            "rowPadding": 4,
            "columnPadding": 16,
            "offset": 14,
        },
    }


def _styles(colors: _Colors) -> dict[str, Any]:
    """Return the styles of marks by name."""
    accent, (bad, middle, good, neutral) = colors.category[0], colors.ordinal
    # Of what is not complete: an outline of dashes with a tint.
    outline = {"fillOpacity": 0.22, "strokeWidth": 1.5, "strokeDash": [4, 3], "strokeOpacity": 1}
    text = {"fontSize": 11, "color": colors.text}
    return {
        "line": {"strokeWidth": 2, "color": accent},
        "running-line": {"strokeWidth": 2, "strokeDash": [4, 4], "color": accent},
        "earlier-line": {"strokeWidth": 2, "strokeDash": [1, 4], "color": colors.quiet, "strokeCap": "round"},
        "point": {"color": accent, "stroke": colors.background, "strokeWidth": 0.5, "opacity": 1},
        "running-point": {"color": accent, "fill": colors.background, "strokeWidth": 1.5, "opacity": 1},
        "band": {"color": accent, "fillOpacity": 0.16},
        "interval": {"color": colors.text, "strokeWidth": 1, "strokeOpacity": 0.75},
        "series-interval": {"color": accent, "strokeWidth": 1.5, "strokeOpacity": 0.45},
        "bar": {"color": accent, "stroke": colors.background, "strokeWidth": 1},
        "running-bar": {"color": accent, "stroke": accent, **outline},
        "worst": {"color": bad, "stroke": bad, "strokeWidth": 1.5},
        "middle": {"color": middle, "stroke": middle, "strokeWidth": 1.5},
        "best": {"color": good, "stroke": good, "strokeWidth": 1.5},
        "neutral": {"color": neutral, "stroke": neutral, "strokeWidth": 1.5},
        "outline": outline,
        "track": {"color": colors.grid},
        "reference": {"color": colors.quiet, "strokeWidth": 1, "strokeDash": [5, 4]},
        "zero": {"color": colors.quiet, "strokeWidth": 1},
        "connector": {"color": colors.quiet, "strokeWidth": 1},
        "target": {"color": colors.text, "strokeWidth": 2.5},
        "cell": {"stroke": colors.background, "strokeWidth": 1.5},
        "small-cell": {"stroke": colors.background, "strokeWidth": 0.4},
        "running-cell": {"fillOpacity": 0, "stroke": colors.text, "strokeWidth": 1.5, "strokeDash": [3, 2]},
        "label": text,
        "strong-label": text | {"fontWeight": 600},
        "muted-label": text | {"color": colors.quiet},
        "gap": {"fontSize": 14, "color": colors.quiet},
        "annotation": {"fontSize": 11, "color": colors.text, "baseline": "bottom", "align": "center"},
        "on-little": {"fontSize": 10, "color": colors.on_little},
        "on-much": {"fontSize": 10, "color": colors.on_much},
        "message": {"fontSize": 13, "color": colors.quiet},
    }
