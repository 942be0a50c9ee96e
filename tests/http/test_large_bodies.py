"""Large bodies: parsed in parts, and refused before they take much memory."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Malformed, TooLarge
from app.http import encoding
from app.http.encoding import parse_json, parse_json_array
from tests.support.service import Service, session

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.sampled_from('a,[]{}"\\: é'), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('a,]"\\'), max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=12), st.sampled_from([None, 2]), st.integers(1, 5))
def test_an_array_parsed_in_parts_is_the_same(items: list[Any], indent: int | None, part: int) -> None:
    body = json.dumps(items, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_VALUES_PER_PART", part)
        assert parse_json_array(body) == parse_json(body) == items


@given(st.text(st.sampled_from('1,[]{}" a:\\'), max_size=14))
def test_what_is_no_array_is_refused_as_before(text: str) -> None:
    body = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_VALUES_PER_PART", 1)
        try:
            expected = parse_json(body)
        except Malformed:
            expected = None
        if isinstance(expected, list):
            assert parse_json_array(body) == expected
        else:
            with pytest.raises(Malformed):
                parse_json_array(body)


def test_a_value_or_a_body_with_too_many_values_is_refused() -> None:
    one_event = b'[{"a": [' + b"1," * 60_000 + b"1]}]"
    many_events = b"[" + b"[1,2,3,4,5,6,7,8,9]," * 120_000 + b"1]"
    for body in (one_event, many_events):
        with pytest.raises(TooLarge):
            parse_json_array(body)
    with pytest.raises(TooLarge):
        parse_json(b"[" + b"0.1," * 60_000 + b"1]")
    # Commas in texts are none of its values.
    assert parse_json_array(b'["' + b"," * 2_000_000 + b'"]') == ["," * 2_000_000]


@pytest.mark.parametrize("envelope", ["[%s]", '{"events": [%s]}', ' { "events" :\n[%s] } '])
def test_a_batch_of_very_many_values_is_stored(shared: Service, envelope: str) -> None:
    events = [session(id=f"{len(envelope)}-{number}", extra={str(n): n for n in range(30)}) for number in range(2_000)]
    content = envelope % ",".join(map(json.dumps, events))
    answer = shared.request("POST", "/v1/events", content=content, headers={"Content-Type": "application/json"})
    assert answer.json()["accepted"] == 2_000, answer.text[:500]
    for wrong in (content + "]", content.rstrip()[:-1], content + "x", "[" + content):
        answer = shared.request("POST", "/v1/events", content=wrong, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) in {(400, "malformed_json"), (413, "too_large")}


def test_only_batches_of_events_may_be_large(shared: Service) -> None:
    body = {"metrics": ["mrr"], "filter": "x" * 2**20}
    answer = shared.request("POST", "/v1/query", json=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
