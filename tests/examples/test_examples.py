"""Worked examples that others have published: the service gives their numbers, or it is said why not."""

import re
from collections.abc import Callable
from importlib import import_module

import pytest

from tests.examples.collected import CONVENTIONS, KNOWN, LEFT_OUT, PARTS_LEFT_OUT, TRAPS
from tests.examples.define import EXAMPLES, Case
from tests.support.service import Service

for _subject in ("voice", "revenue", "retention", "deals", "usage", "outcomes", "ledger"):
    pytest.register_assert_rewrite(f"tests.examples.{_subject}")
    import_module(f"tests.examples.{_subject}")

ALONE = [id for id, checked in EXAMPLES.items() if checked.settings]
TOGETHER = [id for id in EXAMPLES if id not in ALONE]


def check(id: str, service: Service) -> None:
    case = Case(service, id)
    EXAMPLES[id].check(case)
    assert case.conventions >= {*CONVENTIONS.get(id, ())}, "not asked by the convention that it names"
    assert case.avoided or id not in TRAPS, "not held against the wrong answer that was published"


@pytest.mark.parametrize("id", TOGETHER)
def test_an_example_comes_out_as_it_was_published_and_no_trap_is_fallen_into(id: str, shared: Service) -> None:
    check(id, shared)


@pytest.mark.parametrize("id", ALONE)
def test_an_example_with_settings_of_its_own_comes_out_too(id: str, start: Callable[..., Service]) -> None:
    check(id, start(**EXAMPLES[id].settings))


def test_every_known_example_is_checked_or_left_out_and_none_is_both() -> None:
    assert sorted([*EXAMPLES, *LEFT_OUT]) == sorted(KNOWN)
    assert len(KNOWN) == len(set(KNOWN)) == 92
    assert EXAMPLES.keys() >= PARTS_LEFT_OUT.keys()


def test_nothing_is_left_out_any_more_for_want_of_a_metric_or_convention_that_exists(shared: Service) -> None:
    listed = {entry["name"]: entry for entry in shared.get("/v1/metrics")["metrics"]}
    conventions = {f"{name}?convention=" for name, entry in listed.items() if len(entry["conventions"]) > 1}
    reasons = LEFT_OUT | PARTS_LEFT_OUT
    wanted = {id: set(re.findall(r"`([\w?=]+)`", reason)) for id, reason in reasons.items()}
    assert {id for id, names in wanted.items() if names & (listed.keys() | conventions)} == set()
