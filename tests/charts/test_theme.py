"""Colors: told apart by everybody, and with enough contrast."""

from itertools import combinations

import pytest

from app.charts.theme import THEMES, ThemeName, theme_config

# How people without one kind of cones see (Machado, Oliveira and Fernandes 2009, severity 1.0), in linear RGB.
VISIONS = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
Linear = list[float]


def linear(color: str) -> Linear:
    parts = [int(color[first : first + 2], 16) / 255 for first in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(color: str) -> float:
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(color: str, vision: str) -> Linear:
    """A color in CIELAB, as it is seen."""
    seen = [
        min(1.0, max(0.0, sum(factor * part for factor, part in zip(row, linear(color), strict=True))))
        for row in VISIONS[vision]
    ]
    red, green, blue = seen
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    f_x, f_y, f_z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return [116 * f_y - 16, 500 * (f_x - f_y), 200 * (f_y - f_z)]


def distance(one: str, other: str, vision: str) -> float:
    pairs = zip(lab(one, vision), lab(other, vision), strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["category", "ordinal"])
def test_colors_are_told_apart_with_every_vision(theme: ThemeName, vision: str, name: str) -> None:
    colors = theme_config(theme)["range"][name]
    nearest = min(distance(*pair, vision) for pair in combinations(colors, 2))
    assert nearest > 15


@pytest.mark.parametrize("theme", THEMES)
def test_colors_and_texts_have_contrast_to_the_background(theme: ThemeName) -> None:
    config = theme_config(theme)
    background = config["background"]
    for color in config["range"]["category"] + config["range"]["ordinal"]:
        assert contrast(color, background) >= 3, color
    for color in (config["title"]["color"], config["title"]["subtitleColor"], config["axis"]["labelColor"]):
        assert contrast(color, background) >= 4.5, color


@pytest.mark.parametrize("theme", THEMES)
def test_numbers_in_a_heat_map_have_contrast_to_their_cells(theme: ThemeName) -> None:
    config = theme_config(theme)
    little, *_, much = config["range"]["heatmap"]
    assert contrast(config["style"]["on-little"]["color"], little) >= 7
    assert contrast(config["style"]["on-much"]["color"], much) >= 7


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_good_and_what_is_bad_differ_in_gray(theme: ThemeName) -> None:
    lightness = [lab(color, "normal")[0] for color in theme_config(theme)["range"]["ordinal"][:3]]
    assert min(abs(one - other) for one, other in combinations(lightness, 2)) > 8
    # The steps of a heat map go one way.
    steps = [lab(color, "normal")[0] for color in theme_config(theme)["range"]["heatmap"]]
    assert steps in (sorted(steps), sorted(steps, reverse=True))
