"""Names that do not exist: which are repeated in an error, and which others are like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.names import MAX_NAME_LENGTH, NearestNames, is_repeatable, name_fault, nearest_names

ATTRIBUTES = ["plan", "region", "seats", "billing_country", "Customer Tier", "vip"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    {
        "plann": ["plan"],
        "pla": ["plan"],
        "PLAN": ["plan"],
        "reigon": ["region"],
        "seat": ["seats"],
        "billing-country": ["billing_country"],
        "country": ["billing_country"],
        "customer_tier": ["Customer Tier"],
        "industry": [],
        "": [],
        "p" * 129: [],
    }.items(),
)
def test_names_with_a_typo_another_case_or_another_separator_are_near(name: str, nearest: list[str]) -> None:
    assert nearest_names(name, ATTRIBUTES) == nearest


@given(st.text(), st.lists(st.text(max_size=12), max_size=30))
def test_suggestions_are_at_most_three_of_the_candidates_and_never_the_name_itself(
    name: str, candidates: list[str]
) -> None:
    nearest = nearest_names(name, candidates)
    assert len(nearest) <= 3
    assert set(nearest) <= set(candidates) - {name}


@given(st.text())
def test_a_fault_repeats_a_name_only_if_it_is_short_and_printable(name: str) -> None:
    fault = name_fault("/a", "Unknown thing{}.", name, ["b"], code="unknown_metric")
    assert is_repeatable(name) == (0 < len(name) <= MAX_NAME_LENGTH and name.isprintable())
    assert fault.get("name") == (name if is_repeatable(name) else None)
    assert fault["detail"] == (
        f'Unknown thing "{name}". Did you mean "b"?' if is_repeatable(name) else 'Unknown thing. Did you mean "b"?'
    )
    assert fault["did_you_mean"] == ["b"]


def test_a_request_with_very_many_unknown_names_gets_suggestions_for_the_first_ones() -> None:
    nearest = NearestNames()
    assert [nearest.find(f"pla{number}", ["plan"]) for number in range(100)] == [["plan"]] * 100
    assert nearest.find("plam", ["plan"]) == []
    assert nearest.find("pla7", ["plan"]) == ["plan"]
