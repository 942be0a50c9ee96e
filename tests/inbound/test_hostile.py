"""Whatever an authenticated sender sends, and whatever an expression returns: no error of the service, and a reason for each.

The property at the end changes the payloads of all vendors at random; `make campaign` tries many more.
"""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from app.core.errors import Problem
from app.inbound.define import VENDORS, Context
from app.inbound.expressions import MAX_STEPS, Budget, TooManySteps, evaluate
from app.inbound.receive import FAILURE
from app.ingest.payload import Untranslatable
from tests.inbound.senders import SECRET, STRIPE_SECRET, hexed, post, put_source, send, sign_hmac, sign_stripe, to_bytes
from tests.inbound.stripe_events import created, item, updated
from tests.inbound.stripe_stories import STORIES
from tests.support.campaign import examples
from tests.support.service import Service

CALL = {"id": "c-1", "company": "acme", "person": "ada", "ended": 1773480600, "seconds": 840, "xs": [1, 2, 3]}
FIELDS = ("id", "account_id", "user_id", "occurred_at", "data", "when", "items")
NUMBERS = {
    name: Decimal(text) for name, text in {"x": "12.75", "n": "-12.75", "y": "1e999999999", "z": "1e-999999999"}.items()
}
DOUBLED = "|".join(["[@,@]"] * 200)
EXPRESSIONS = (
    "&a",
    "map(&@, `[1]`)",
    "type(&a)",
    "to_number('nan')",
    "to_number('1e999')",
    "`1e400`",
    "`-0.0`",
    "`123456789012345678901234567890`",
    "sum(`[1e308,1e308]`)",
    "avg(`[]`)",
    "floor(to_number('inf'))",
    "to_number('" + "9" * 1_900 + "')",
    "payload",
    "payload.xs[0:1:0]",
    "decimal(item.seconds, `2`)",
    "time(`1e300`)",
    "join('', [`\"\\ud800\"`])",
    '`"\\u0000"`',
    '`{"\\u0000": 1}`',
    "[" * 300 + "@" + "]" * 300,
    DOUBLED,
    "|".join(["[@,@][]"] * 150),
    "|".join(["join('', [@,@])"] * 100).replace("[@,@]", "['x','x']", 1),
    f"({DOUBLED}) == ({DOUBLED[:900]}[@,@])",
    f"to_string({DOUBLED})",
)


def mapping(field: str, expression: str) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "type": "session.ended",
        "id": "item.id",
        "account_id": "item.company",
        "user_id": "item.person",
        "occurred_at": "item.ended",
        "data": {"duration_seconds": "item.seconds"},
    }
    if field == "items":
        return {"items": expression, "events": [rule]}
    return {"events": [rule | {field: {"duration_seconds": expression} if field == "data" else expression}]}


@pytest.mark.parametrize("field", FIELDS)
def test_an_expression_of_any_kind_ends_soon_and_with_a_reason(field: str, shared: Service) -> None:
    for number, expression in enumerate(EXPRESSIONS):
        body = {"vendor": "generic", "secrets": [SECRET], "mapping": mapping(field, expression)}
        if shared.request("PUT", f"/v1/sources/{field}", json=body).status_code == 422:
            continue
        payload = CALL | {"number": number}
        answer = send(shared, field, payload)
        assert answer["reasons"] or answer["accepted"] or answer["duplicates"], (expression, answer)
        assert FAILURE not in str(answer), expression
        content = {"content": to_bytes(payload), "headers": {"Content-Type": "application/json"}}
        assert shared.request("POST", f"/v1/sources/{field}/preview", **content).status_code == 200, expression


@pytest.mark.parametrize("expression", [DOUBLED, "|".join(["[@,@][]"] * 150), f"to_string({DOUBLED})"])
def test_an_expression_that_doubles_a_value_again_and_again_is_stopped(expression: str) -> None:
    with pytest.raises(TooManySteps):
        evaluate(expression, {"a": 1}, "/mapping/items", Budget())


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("to_number(x)", Decimal("12.75")),
        ("to_number(to_string(x))", 12.75),
        ("floor(x)", 12),
        ("ceil(x)", 13),
        ("ceil(n)", -12),
        ("floor(z)", 0),
        ("ceil(z)", 1),
        ("floor(`2.5`)", 2),
        ("type(x)", "number"),
        ("time(y)", None),
    ],
)
def test_a_number_of_the_payload_is_exact_in_every_function(expression: str, value: Any) -> None:
    result = evaluate(expression, NUMBERS, "/mapping/items", Budget())
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize("expression", ["floor(y)", "ceil(y)", "to_number(y)", "sum([y, x])", "abs(y)"])
def test_a_number_of_very_many_digits_is_refused_at_once(expression: str) -> None:
    with pytest.raises(Untranslatable):
        evaluate(expression, NUMBERS, "/mapping/items", Budget())


def test_a_mapping_may_look_at_all_items_for_each_item_of_a_small_payload_only(service: Service) -> None:
    rule = mapping("when", "length(payload.calls[?seconds > `0`]) > `0`")["events"][0]
    put_source(service, "calls", "generic", mapping={"items": "payload.calls", "events": [rule]})
    calls = [CALL | {"id": f"c-{number}", "xs": None} for number in range(3_000)]
    assert send(service, "calls", {"calls": calls[:20]})["accepted"] == 20
    answer = send(service, "calls", {"calls": calls})
    # What was translated before the budget was used up is stored, and one reason stands for the rest.
    assert answer["status"] == "rejected" and answer["accepted"] > 20
    assert len(answer["reasons"]) == 1 and "take too long" in answer["reasons"][0]["detail"]


def test_ten_thousand_events_of_one_delivery_are_stored_and_one_more_item_is_not(service: Service) -> None:
    put_source(service, "calls", "generic", mapping=mapping("items", "payload.ids") | {
        "events": [
            {
                "type": "session.ended",
                "id": "to_string(item)",
                "account_id": "'acme'",
                "user_id": "'ada'",
                "occurred_at": "payload.at",
                "data": {"duration_seconds": "payload.seconds"},
            }
        ]
    })  # fmt: skip
    payload = {"at": 1773480600, "seconds": 60, "ids": list(range(10_000))}
    answer = send(service, "calls", payload)
    assert (answer["accepted"], answer["rejected"]) == (10_000, [])
    assert service.value("sessions") == 10_000
    answer = send(service, "calls", payload | {"ids": list(range(10_001))})
    assert (answer["code"], answer["status"]) == (202, "rejected") and "10,000 items" in answer["reasons"][0]["detail"]


def test_the_budget_is_enough_for_ten_thousand_items_of_ten_fields() -> None:
    budget = Budget()
    for number in range(10_000):
        scope = {"item": {"a": {"b": {"c": {"d": number}}}}}
        for _ in range(10):
            evaluate("item.a.b.c.d", scope, "/mapping/id", budget)
    assert 0 < budget.steps < MAX_STEPS


@pytest.mark.parametrize(
    "payload",
    [
        created("01-01", item(None, billing_scheme="tiered", id="p\0")),
        updated("01-01", item(1), id="s" + "".join(map(str, range(3_000)))),
        updated("01-01", item(1), id="s\0"),
        created("01-01", item(1)) | {"id": "e\0"},
        created("01-01", item(1), customer="c\0"),
        created("01-01", item(1) | {"quantity": 10**29}),
        created("01-01", item(10**29)),
        created("01-01", item(1, id="\x01")),
        created("01-01", item(1, id="p" * 200)),
        {"calls": "\0" * 100_000},
    ],
)
def test_texts_and_numbers_of_any_size_are_no_error_of_the_service(payload: Any, shared: Service) -> None:
    put_source(shared, "stripe", "stripe", STRIPE_SECRET)
    answer = send(shared, "stripe", payload, sign_stripe)
    assert FAILURE not in str(answer) and "\0" not in str(shared.get("/v1/sources/stripe/deliveries"))


HEADERS: list[dict[str, Any]] = [
    {"X-Topic": b"\xff\xfe"},
    {"X-Topic": "é".encode()},
    {"webhook-id": b"\xff"},
    {"webhook-id": "e\u0301".encode()},
    {"webhook-id": b"x" * 3_000},
    {"Content-Type": "text/html; charset=utf-7"},
    {"Content-Type": "multipart/form-data"},
    {"Content-Type": b"\xff"},
]


@pytest.mark.parametrize("headers", HEADERS)
def test_other_headers_of_any_shape_do_not_matter(headers: dict[str, Any], service: Service) -> None:
    put_source(service, "calls", "generic", mapping=mapping("id", "item.id"), options={"headers": ["X-Topic"]})
    body = to_bytes(CALL)
    answer = post(service, "calls", body, {**sign_hmac(body, service.now), **headers})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1), answer.text
    path = f"/v1/sources/calls/deliveries/{answer.json()['delivery']}"
    assert service.get(path)["status"] == "accepted"


def test_the_same_body_with_another_header_that_the_mapping_reads_is_another_delivery(service: Service) -> None:
    options = {"headers": ["X-Call"]}
    put_source(service, "calls", "generic", mapping=mapping("id", "headers.missing"), options=options)
    body = to_bytes(CALL)
    for number in range(2):
        headers = {**sign_hmac(body, service.now), "X-Call": f"c-{number}"}
        assert post(service, "calls", body, headers).status_code == 202
    put_source(service, "calls", "generic", mapping=mapping("id", 'headers."x-call"'), options=options)
    replay = service.request("POST", "/v1/sources/calls/replay?status=rejected").json()
    assert replay["deliveries"]["accepted"] == 2 and service.value("sessions") == 2


@pytest.mark.parametrize("depth", [65, 5_000, 1_000_000])
def test_json_that_is_nested_deeply_is_kept_with_the_reason(depth: int, service: Service) -> None:
    put_source(service, "calls", "generic", mapping=mapping("id", "item.id"))
    answer = send(service, "calls", b"[" * depth + b"]" * depth)
    assert (answer["code"], answer["reasons"][0]["code"]) == (202, "malformed_json")


@pytest.mark.parametrize("text", ["'\0'", "x\0"])
@pytest.mark.parametrize("place", ["mapping", "secrets", "options"])
def test_a_source_with_a_text_that_cannot_be_stored_is_refused(text: str, place: str, service: Service) -> None:
    body: dict[str, Any] = {"vendor": "generic", "secrets": [SECRET], "mapping": mapping("id", "item.id")}
    body |= {
        "mapping": {"mapping": mapping("id", "'\0'")},
        "secrets": {"secrets": [SECRET + text]},
        "options": {"options": {"prefix": text}},
    }[place]
    answer = service.request("PUT", "/v1/sources/calls", json=body)
    assert answer.status_code == 422
    assert "control_character" in {own["code"] for own in answer.json()["errors"]}


ENTITIES = "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 10))
BOMB = (
    f'<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{ENTITIES}<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    '<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>&a9;&file;</OrganizationId>'
    "</notifications>"
)
DECLARED = '<?xml version="1.0" encoding="{}"?>'


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        b"\xef\xbb\xbf" + BOMB.encode(),
        BOMB.encode("utf-16-le"),
        BOMB.encode("utf-16"),
        DECLARED.format("utf-16").encode("utf-16-le") + BOMB.encode("utf-16-le"),
        # In EBCDIC, a declaration does not look like one.
        DECLARED.format("cp037").encode() + BOMB.encode("cp037"),
        DECLARED.format("utf-7").encode() + BOMB.replace("<", "+ADw-").encode(),
        b"<a>" * 400_000,
        b"<a>" * 400_000 + b"</a>" * 400_000,
        b"<a " + b" ".join(b"a%d='1'" % number for number in range(200_000)) + b"/>",
    ],
)
def test_xml_with_entities_is_kept_and_never_resolved(body: bytes, service: Service) -> None:
    put_source(service, "crm", "salesforce")
    assert post(service, "crm", body, {"X-Csm-Secret": SECRET}).status_code in (200, 202)
    [kept] = service.get("/v1/sources/crm/deliveries")["deliveries"]
    assert (kept["status"], kept["events"]) == ("rejected", 0)
    assert kept["reasons"][0]["code"] in ("malformed", "malformed_json")


def test_a_fault_of_a_translation_is_kept_and_replayed_when_it_is_repaired(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_source(service, "calls", "generic", mapping=mapping("id", "item.id"))

    def fail(*arguments: Any, **named_arguments: Any) -> Iterator[Any]:
        raise RuntimeError("a fault")
        yield

    with monkeypatch.context() as patch:
        patch.setattr("app.inbound.catalogue.generic.map_events", fail)
        answer = send(service, "calls", CALL)
    assert (answer["code"], answer["status"], answer["reasons"][0]["detail"]) == (202, "rejected", FAILURE)
    assert service.request("POST", "/v1/sources/calls/replay?status=rejected").json()["deliveries"]["accepted"] == 1


ODD: list[Any] = [None, True, False, 0, -1, 7.5, 10**29, 10**15, 1e300, "", " ", "x" * 300, "\x01", "\0", "NaN", "1e29"]
ODD += ["2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", [], [1], [None], [[]], [{}], {}]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield (*place, name)
        yield from places(member, (*place, name))


def change(payload: Any, random: Random) -> Any:
    """Return a payload of which some values are others, or missing."""
    payload = copy.deepcopy(payload)
    for _ in range(random.randrange(1, 4)):
        *parents, name = random.choice(list(places(payload)))
        parent = payload
        for own in parents:
            parent = parent[own]
        if isinstance(parent, dict) and random.random() < 0.1:
            del parent[name]
        else:
            parent[name] = copy.deepcopy(random.choice(ODD))
        if not list(places(payload)):
            break
    return payload


def payloads(name: str) -> list[Any]:
    if name == "stripe":
        return [own for story in STORIES.values() for own in story.events]
    example = VENDORS[name].example
    return [] if isinstance(example, bytes) else [example]


@pytest.mark.parametrize("name", [name for name in VENDORS if payloads(name)])
def test_a_payload_with_odd_values_is_translated_or_has_a_reason(name: str, shared: Service) -> None:
    vendor, random = VENDORS[name], Random(name)
    options = vendor.options.model_validate(vendor.example_options)
    own_mapping = vendor.example_mapping if vendor.mapping_required else None
    for _ in range(examples(60)):
        body = json.dumps(change(random.choice(payloads(name)), random)).encode()
        payload = vendor.parse(body)
        context = Context(
            name, options, own_mapping, {"content-type": "application/json"}, body, shared.books.calendar.day
        )
        vendor.find_id(payload, {})
        with suppress(Problem, Untranslatable):
            list(vendor.translate(payload, context))


def test_a_wrong_signature_costs_no_translation(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    put_source(service, "calls", "generic", mapping=mapping("id", "item.id"))
    calls: list[Callable[..., Any]] = []
    monkeypatch.setattr("app.inbound.receive.read_delivery", calls.append)
    body = to_bytes(CALL)
    assert post(service, "calls", body, {"X-Signature": hexed(body + b" ")}).status_code == 401
    assert calls == []
