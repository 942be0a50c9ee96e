"""Worked examples that others have published: the service gives their numbers, or a list says why not."""

import re
from collections.abc import Callable
from importlib import import_module

import pytest

from tests.examples.collected import COLLECTED, CONVENTIONS, LEFT_OUT, PARTS_LEFT_OUT, TRAPS
from tests.examples.define import EXAMPLES, Case
from tests.support.service import Service

for _topic in ("voice", "revenue", "retention", "deals", "usage", "outcomes", "health", "ledger"):
    pytest.register_assert_rewrite(f"tests.examples.{_topic}")
    import_module(f"tests.examples.{_topic}")

WITH_SETTINGS = [id for id, checked in EXAMPLES.items() if checked.settings]
WITHOUT_SETTINGS = [id for id in EXAMPLES if id not in WITH_SETTINGS]


def check(id: str, service: Service) -> None:
    case = Case(service, id)
    EXAMPLES[id].check(case)
    assert case.conventions >= {*CONVENTIONS.get(id, ())}, "a convention of this example was not asked for"
    assert case.traps_checked or id not in TRAPS, "not compared with the wrong answer that was published"


@pytest.mark.parametrize("id", WITHOUT_SETTINGS)
def test_an_example_has_its_published_answer_and_no_trap(id: str, shared: Service) -> None:
    check(id, shared)


@pytest.mark.parametrize("id", WITH_SETTINGS)
def test_an_example_with_settings_of_its_own_has_its_published_answer(
    id: str, start_service: Callable[..., Service]
) -> None:
    check(id, start_service(**EXAMPLES[id].settings))


def test_every_collected_example_is_either_checked_or_left_out() -> None:
    assert sorted([*EXAMPLES, *LEFT_OUT]) == sorted(COLLECTED)
    assert len(COLLECTED) == len(set(COLLECTED)) == 92
    assert EXAMPLES.keys() >= PARTS_LEFT_OUT.keys()


def test_no_example_is_left_out_for_a_metric_or_convention_that_exists(shared: Service) -> None:
    listed = {entry["name"]: entry for entry in shared.get("/v1/metrics")["metrics"]}
    conventions = {f"{name}?convention=" for name, entry in listed.items() if len(entry["conventions"]) > 1}
    reasons = LEFT_OUT | PARTS_LEFT_OUT
    missing = {id: set(re.findall(r"`([\w?=]+)`", reason)) for id, reason in reasons.items()}
    assert {id for id, names in missing.items() if names & (listed.keys() | conventions)} == set()
