"""Hostile and mistaken bodies: no 5xx, nothing invalid is stored, valid events of a batch are stored, no value is echoed.

Bodies contain a canary wherever possible, which no error response may contain.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.core import logs
from app.ingest.define import EVENT_TYPES
from app.ingest.schemas import example_event
from tests.support.hostile import (
    CANARY,
    CLOUDEVENT,
    CLOUDEVENTS,
    ENDPOINTS,
    JSON,
    NDJSON,
    OPTIONAL_BODIES,
    codes_by_index,
    count_stored,
    in_path,
    is_problem,
    post,
    repeats_no_value,
    serial_numbers,
    valid_event,
    without_deadline,
)
from tests.support.naughty import INVALID_IDS, INVALID_JSON, ODD_JSON, TOO_MUCH, VALID_IDS
from tests.support.service import Service, event, session

# JSON


@pytest.mark.parametrize("case", INVALID_JSON)
def test_invalid_json_is_an_error_at_every_endpoint(case: str, shared: Service) -> None:
    before = count_stored(shared)
    for method, path in ENDPOINTS.keys() - (OPTIONAL_BODIES if case == "nothing" else set()):
        response = post(shared, INVALID_JSON[case], path=path, method=method)
        assert is_problem(response, 400, "malformed_json"), (path, response.text)
    for kind in (CLOUDEVENT, CLOUDEVENTS):
        assert is_problem(post(shared, INVALID_JSON[case], kind), 400, "malformed_json")
    assert count_stored(shared) == before


def test_an_invalid_line_does_not_affect_other_lines(shared: Service) -> None:
    before, lines = count_stored(shared), [text for text in INVALID_JSON.values() if text.strip()]
    body = b"\n".join(part for line in lines for part in (json.dumps(valid_event()).encode(), line))
    response = post(shared, body, NDJSON)
    assert response.json()["accepted"] == len(lines)
    assert codes_by_index(response) == {2 * number + 1: "malformed" for number in range(len(lines))}
    assert count_stored(shared) == before + len(lines)


def test_empty_lines_and_any_line_end_are_accepted(shared: Service) -> None:
    before = count_stored(shared)
    first, second, third = (json.dumps(valid_event()) for _ in range(3))
    body = f"\n\n  {first} \r\n\t\n{second}\n \n\r\n{third}"
    assert post(shared, body, NDJSON).json()["accepted"] == 3
    assert count_stored(shared) == before + 3
    assert post(shared, "\n" * 100_000, NDJSON).json() == {"accepted": 0, "duplicates": 0, "rejected": []}


@pytest.mark.parametrize("case", ODD_JSON)
def test_odd_json_is_accepted(case: str, shared: Service) -> None:
    body = json.dumps(valid_event(extra={"odd": "HERE"})).replace('"HERE"', ODD_JSON[case])
    for kind in (JSON, NDJSON):
        assert post(shared, body.replace('"event-', f'"{kind}'), kind).json()["accepted"] == 1


@pytest.mark.parametrize("case", TOO_MUCH)
def test_a_value_that_is_too_large_does_not_affect_other_events(case: str, shared: Service) -> None:
    bad = json.dumps(valid_event(extra={"odd": "HERE", "canary": CANARY})).replace('"HERE"', TOO_MUCH[case])
    response = post(shared, f"[{json.dumps(valid_event())}, {bad}, {json.dumps(valid_event())}]")
    assert (response.json()["accepted"], list(codes_by_index(response))) == (2, [1])
    assert repeats_no_value(response)


@pytest.mark.parametrize("case", [name for name in TOO_MUCH if TOO_MUCH[name].lstrip("-")[0].isdigit()])
@pytest.mark.parametrize("endpoint", [endpoint for endpoint, body in ENDPOINTS.items() if body], ids=" ".join)
def test_a_number_of_any_size_is_an_immediate_error(endpoint: tuple[str, str], case: str, shared: Service) -> None:
    method, path = endpoint
    for field in (ENDPOINTS[endpoint] or {}) | {"limit": 1, "totals": True, "start": "2026-01-01", "period": "2026"}:
        body = json.dumps((ENDPOINTS[endpoint] or {}) | {field: "HERE"}).replace('"HERE"', TOO_MUCH[case])
        assert is_problem(post(shared, body, path=path, method=method), 422), field


# Content type and content encoding

TYPES = {
    "none": None,
    "nothing": "",
    "text": "text/plain",
    "a form": "application/x-www-form-urlencoded",
    "parts": "multipart/form-data; boundary=x",
    "parts with a costly boundary": 'multipart/form-data; boundary="' + "\\" * 5000,
    "xml": "application/xml",
    "any": "*/*",
    "problem": "application/problem+json",
    "jsonp": "application/javascript",
    "a list of types": "application/json, text/plain",
    "a semicolon in front": "; application/json",
    "json in words": "json",
    "another version": "application/cloudevents+xml",
    "UTF-16": "application/json; charset=utf-16",
    "Latin-1": "application/json;charset=ISO-8859-1",
    "UTF-7": 'application/json; charset="utf-7"',
    "UTF-16 lines": "application/x-ndjson; charset=utf-16le",
}


@pytest.mark.parametrize("case", TYPES)
def test_another_content_type_is_an_error(case: str, shared: Service) -> None:
    before = count_stored(shared)
    assert is_problem(post(shared, valid_event(extra={"a": CANARY}), TYPES[case]), 415)
    for (method, path), body in ENDPOINTS.items():
        assert is_problem(post(shared, body or [valid_event()], TYPES[case], path=path, method=method), 415), path
    assert count_stored(shared) == before


@pytest.mark.parametrize(
    "kind",
    ["Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"', "application/json;v=1"],
)
def test_a_content_type_may_have_capitals_and_parameters(kind: str, shared: Service) -> None:
    assert post(shared, valid_event(), kind).json()["accepted"] == 1


@pytest.mark.parametrize("name", ["content-type", "content-encoding"])
def test_content_headers_may_not_be_repeated(name: str, shared: Service) -> None:
    value = JSON if name == "content-type" else "gzip"
    compressed = gzip.compress(gzip.compress(json.dumps(valid_event()).encode()))
    sent = [("content-type", JSON)] * (name != "content-type") + [(name, value), (name, value)]
    response = shared.request("POST", "/v1/events", content=compressed, headers=sent)
    assert is_problem(response, 400, "repeated_header")


@pytest.mark.parametrize(
    "encoding", ["br", "deflate", "compress", "gzip, gzip", "gzip,zstd", "gzip;q=1", "aws-chunked", "*"]
)
def test_an_unknown_or_double_encoding_is_an_error(encoding: str, shared: Service) -> None:
    body = gzip.compress(gzip.compress(json.dumps(valid_event()).encode()))
    assert is_problem(post(shared, body, content_encoding=encoding), 415, "unsupported_encoding")


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_truncated_body_is_an_error_and_nothing_is_stored(encoding: str, shared: Service) -> None:
    before = count_stored(shared)
    lines = b"\n".join(json.dumps(valid_event()).encode() for _ in range(300))
    compressed = COMPRESSORS[encoding](lines)
    for length in [*range(0, len(compressed), 37), *range(len(compressed) - 9, len(compressed))]:
        response = post(shared, compressed[:length], NDJSON, content_encoding=encoding)
        assert is_problem(response, 400, "malformed_encoding"), length
    assert count_stored(shared) == before
    assert post(shared, compressed, NDJSON, content_encoding=encoding).json()["accepted"] == 300


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_several_compressed_parts_are_one_body(encoding: str, shared: Service) -> None:
    compress, body = COMPRESSORS[encoding], json.dumps([valid_event(), valid_event()]).encode()
    parts = b"".join(compress(body[at : at + 20]) for at in range(0, len(body), 20))
    assert post(shared, parts + compress(b""), content_encoding=encoding).json()["accepted"] == 2
    assert is_problem(post(shared, parts + CANARY.encode(), content_encoding=encoding), 400, "malformed_encoding")
    many = compress(body) + compress(b"") * 100_000
    assert is_problem(post(shared, many, content_encoding=encoding), 400, "malformed_encoding")


MALFORMED_ENCODINGS = {
    "json": b"[]",
    "nothing": b"",
    "zlib": zlib.compress(b"[]"),
    "a header alone": gzip.compress(b"[]")[:10],
    "a wrong checksum": gzip.compress(b"[]")[:-8] + bytes(8),
    "a dictionary that nobody has": b"\x28\xb5\x2f\xfd\x23\x01\x02\x03\x04\x02\x11\x00\x00[]",
    "a window of two gigabytes": b"\x28\xb5\x2f\xfd\x00\xa8\x11\x00\x00[]",
    "a reserved block": b"\x28\xb5\x2f\xfd\x20\x02\x17\x00\x00[]",
}


@pytest.mark.parametrize("case", MALFORMED_ENCODINGS)
@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_body_with_a_wrong_content_encoding_is_an_error(encoding: str, case: str, shared: Service) -> None:
    response = post(
        shared, MALFORMED_ENCODINGS[case] + CANARY.encode() * bool(MALFORMED_ENCODINGS[case]), content_encoding=encoding
    )
    assert is_problem(response, 400, "malformed_encoding")


def test_a_decompression_bomb_is_an_error(start_service: Callable[..., Service]) -> None:
    service = start_service(max_inflated_bytes=100_000)
    fits = b"[" + b" " * 99_998 + b"]"
    for encoding, compress in COMPRESSORS.items():
        assert post(service, compress(fits), content_encoding=encoding).json()["accepted"] == 0
        for bomb in (
            compress(fits + b" "),
            compress(bytes(50_000_000)),
            compress(fits) + compress(b" "),
            compress(b" " * 60_000) * 2,
        ):
            for method, path in ENDPOINTS:
                response = post(service, bomb, path=path, method=method, content_encoding=encoding)
                assert is_problem(response, 413, "too_large")
            assert is_problem(post(service, bomb, NDJSON, content_encoding=encoding), 413, "too_large")


# Size


@pytest.mark.parametrize("kind", [JSON, NDJSON])
def test_a_batch_has_at_most_ten_thousand_events(kind: str, shared: Service) -> None:
    before = count_stored(shared)
    events = [valid_event() for _ in range(10_001)]
    body = json.dumps(events) if kind == JSON else "\n".join(map(json.dumps, events))
    assert is_problem(post(shared, body, kind), 422, "too_many_events")
    assert is_problem(post(shared, b"1\n" * 300_000, NDJSON), 422, "too_many_events")
    assert count_stored(shared) == before


@pytest.mark.parametrize("value", [b"1", b"[]", b'""', b"{}"])
def test_a_body_of_too_many_values_is_not_parsed(value: bytes, shared: Service) -> None:
    body = gzip.compress(b"[" + (value + b",") * 4_000_001 + value + b"]", 1)
    for method, path in ENDPOINTS:
        assert is_problem(post(shared, body, path=path, method=method, content_encoding="gzip"), 413, "too_large")


def test_an_event_with_many_unknown_fields_is_one_rejection(shared: Service) -> None:
    unknown = {f"{CANARY.lower()}{number}": 1 for number in range(9_990)}
    response = post(shared, [valid_event(), valid_event() | unknown, valid_event()])
    assert (response.json()["accepted"], codes_by_index(response)) == (2, {1: "extra_forbidden"})


def test_a_long_name_of_a_field_is_not_echoed(shared: Service) -> None:
    long = CANARY * 1000
    for bad in (
        valid_event() | {long: 1},
        event("account.updated", attributes={long: 1}),
        valid_event(extra={"a": 1}) | {"id": long},
    ):
        response = post(shared, [bad])
        assert is_problem(response, 422, "all_rejected")
        assert CANARY not in response.text
    for (method, path), body in ENDPOINTS.items():
        response = post(shared, (body or {"events": []}) | {long: 1}, path=path, method=method)
        assert is_problem(response, 422)
        assert CANARY not in response.text


@pytest.mark.parametrize(
    "body", [None, True, 1, 0.5, "a", [], [[]], [None], {"events": None}, {"events": {}}], ids=json.dumps
)
def test_a_value_that_is_not_an_event_is_an_error(body: Any, shared: Service) -> None:
    for path in ("/v1/events", "/v1/survey-responses"):
        for kind in (JSON, CLOUDEVENT, CLOUDEVENTS):
            response = post(shared, json.dumps(body), kind, path=path)
            if body == []:
                assert response.status_code == (422 if kind == CLOUDEVENT else 200)
            else:
                assert is_problem(response, 422)
    for (method, path), accepted in ENDPOINTS.items():
        if accepted:
            assert is_problem(post(shared, json.dumps(body), path=path, method=method), 422), path


# The log


def test_every_line_of_the_log_is_one_json_object(
    start_service: Callable[..., Service], capsys: pytest.CaptureFixture[str]
) -> None:
    service = start_service()
    logs.configure("info")
    try:
        texts: Sequence[str] = [
            *VALID_IDS.values(),
            *(id for id in INVALID_IDS.values() if id),
            "\u2028{}",
            "a\r\n{}\r\n",
            "\x1b]0;x\a",
        ]
        for text in texts:
            service.request("GET", f"/v1/accounts/{in_path(text)}")
            service.request("GET", "/v1/accounts", params={"filter": text, text[:100]: text})
            service.request("GET", "/v1/surveys", headers={"X-Request-Id": text.encode(), "User-Agent": text.encode()})
            post(service, session(text, id=text, user=text))
        output = capsys.readouterr().err
        lines = [json.loads(line) for line in output.split("\n")[:-1]]
        assert len([line for line in lines if line["event"] == "request"]) == 4 * len(texts)
        assert all(isinstance(line, dict) and line["level"] == "info" for line in lines)
        assert output.replace("\n", "").isascii() and output.replace("\n", "").isprintable()
    finally:
        logs.configure("error")


# Any input

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)
FIELDS = [
    "id",
    "type",
    "account_id",
    "user_id",
    "occurred_at",
    "recorded_on",
    "data",
    "extra",
    "specversion",
    "source",
    "survey",
]
FIELDS += [
    "score",
    "kind",
    "scale",
    "rates",
    "currency",
    "filter",
    "name",
    "scopes",
    "metrics",
    "attributes",
    "start",
    "period",
]


@without_deadline
@given(st.sampled_from(list(ENDPOINTS)), ANY_JSON | st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=6))
def test_no_json_causes_an_internal_error(shared: Service, endpoint: tuple[str, str], body: Any) -> None:
    method, path = endpoint
    assert post(shared, json.dumps(body), path=path, method=method).status_code in (200, 201, 204, 404, 422)


@without_deadline
@given(
    st.sampled_from(list(ENDPOINTS)),
    st.binary(max_size=60) | st.text(alphabet='[]{}",:01e-+.nul\\u ', max_size=40).map(str.encode),
    st.sampled_from([JSON, NDJSON, CLOUDEVENT, CLOUDEVENTS, "text/plain"]),
    st.sampled_from(["", "identity", "gzip", "zstd", "br"]),
)
def test_no_bytes_cause_an_internal_error(
    shared: Service, endpoint: tuple[str, str], body: bytes, kind: str, encoding: str
) -> None:
    method, path = endpoint
    response = post(shared, body, kind, path=path, method=method, content_encoding=encoding)
    assert response.status_code in (200, 201, 204, 400, 404, 415, 422)


@without_deadline
@given(st.sampled_from(sorted(EVENT_TYPES)), st.data())
def test_no_event_causes_an_internal_error(shared: Service, type: str, data: st.DataObject) -> None:
    sent = example_event(type) | {"id": f"any-{next(serial_numbers)}", "account_id": "anybody"}
    part = data.draw(st.sampled_from(["", "data"]))
    holder = sent["data"] if part else sent
    holder[data.draw(st.sampled_from(sorted(holder) or ["extra"]))] = data.draw(ANY_JSON)
    response = post(shared, [sent, valid_event()])
    assert response.status_code == 200
    assert response.json()["accepted"] >= 1
