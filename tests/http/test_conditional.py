"""The header If-None-Match: lists of tags, weak comparison, and everything that is not one."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.http.compression import choose_coding
from app.http.conditional import ANY, parse_if_none_match
from app.http.routing import find_pollable

opaque_tags = st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"], exclude_characters='" \x7f\xa0'), max_size=20
)
spaces = st.sampled_from(["", " ", "\t", "  "])
elements = st.tuples(spaces, st.sampled_from(["", "W/"]), opaque_tags, spaces)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(elements, max_size=6))
def test_every_tag_of_a_list_is_read_weak_or_not(parts: list[tuple[str, str, str, str]]) -> None:
    value = ",".join(f'{before}{weak}"{tag}"{after}' for before, weak, tag, after in parts)
    assert parse_if_none_match(value) == tuple(tag for _, _, tag, _ in parts)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text())
def test_no_text_breaks_the_header_and_a_tag_that_is_read_is_in_it(value: str) -> None:
    assert all(tag == ANY or f'"{tag}"' in value for tag in parse_if_none_match(value))


def test_a_star_alone_means_any() -> None:
    values = {"*": (ANY,), " * ": (ANY,), '"*"': ("*",), '*, "a"': ()}
    assert {value: parse_if_none_match(value) for value in values} == values


def test_what_is_not_a_list_of_tags_names_nothing() -> None:
    for value in ("a", "W/a", '"a', '"a" "b"', 'w/"a"', '"a";"b"'):
        assert parse_if_none_match(value) == ()


def test_empty_elements_are_skipped() -> None:
    assert parse_if_none_match(', "a",, W/"b" ,') == ("a", "b")


@pytest.mark.parametrize("read", [parse_if_none_match, choose_coding, find_pollable(FastAPI())])
def test_long_texts_of_clients_are_not_kept(read: Callable[[str], Any]) -> None:
    read('"a"')
    tracemalloc.start()
    try:
        for number in range(200):
            read(f'"{number}",' + '"a",' * 500)
        [kept, _] = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 300_000
