"""Every scheme accepts what its vendor's SDK signs, and nothing else: 401 for all that is wrong, missing or malformed."""

import base64
import gzip
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest
import svix.webhooks

from app.inbound.schemes import SignedRequest, url_and_body
from tests.inbound.senders import (
    OTHER_SECRET,
    SECRET,
    STANDARD_SECRET,
    STRIPE_SECRET,
    based,
    hexed,
    post,
    put_source,
    sign_standard,
    sign_stripe,
)
from tests.support.campaign import examples
from tests.support.service import Service

BODY = '{"calls": [], "größe": 1}'.encode()
MAPPING = {"events": [{"type": "session.ended", "id": "item.id", "occurred_at": "item.at"}]}
BASIC_SECRET = "csmetrics:a-password-of-the-tests"


class Case(NamedTuple):
    """A scheme of the vendor `generic` or of another: how it signs, and which headers have a signature or a time."""

    vendor: str
    secret: str
    sign: Callable[[bytes, datetime], Mapping[str, str]]
    options: dict[str, Any]
    time_header: str | None = None
    time: Callable[[datetime], str] | None = None


def seconds(now: datetime) -> str:
    return str(int(now.timestamp()))


def sign_with_time(body: bytes, now: datetime) -> dict[str, str]:
    time = seconds(now)
    return {"X-Time": time, "X-Signature": "sha1=" + based(time.encode() + b"." + body, algorithm="sha1")}


def sign_with_iso(body: bytes, now: datetime) -> dict[str, str]:
    time = now.isoformat()
    return {"X-Time": time, "X-Signature": hexed(time.encode() + body, algorithm="sha512")}


def basic(body: bytes, now: datetime) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(BASIC_SECRET.encode()).decode()}


CASES = {
    "stripe": Case("stripe", STRIPE_SECRET, sign_stripe, {}),
    "standard": Case(
        "generic", STANDARD_SECRET, sign_standard, {"scheme": "standard_webhooks"}, "webhook-timestamp", seconds
    ),
    "hmac": Case("generic", SECRET, lambda body, now: {"X-Signature": hexed(body)}, {}),
    "hmac with time": Case(
        "generic",
        SECRET,
        sign_with_time,
        {"algorithm": "sha1", "encoding": "base64", "prefix": "sha1=", "time_header": "X-Time"},
        "X-Time",
        seconds,
    ),
    "hmac with iso time": Case(
        "generic",
        SECRET,
        sign_with_iso,
        {"algorithm": "sha512", "time_header": "X-Time", "time_form": "iso", "signs": "time_and_body"},
        "X-Time",
        datetime.isoformat,
    ),
    "basic": Case("generic", BASIC_SECRET, basic, {"scheme": "basic"}),
    "secret header": Case(
        "generic",
        SECRET,
        lambda body, now: {"X-Token": f"Bearer {SECRET}"},
        {"scheme": "secret_header", "header": "X-Token", "prefix": "Bearer "},
    ),
}
SIGNED = [name for name in CASES if name not in ("basic", "secret header")]


@pytest.fixture(scope="module")
def sources(shared: Service) -> Service:
    """A service with a source for each case, of the same name."""
    for name, case in CASES.items():
        mapping = {"mapping": MAPPING} if case.vendor == "generic" else {}
        put_source(shared, name, case.vendor, case.secret, options=case.options, **mapping)
    return shared


def status(service: Service, name: str, headers: Mapping[str, str], body: bytes = BODY) -> int:
    answer = post(service, name.replace(" ", "%20"), body, headers)
    if answer.status_code == 401:
        assert answer.json()["code"] in ("unverified", "stale_signature")
        assert "csm" not in answer.text and SECRET not in answer.text
    return answer.status_code


@pytest.mark.parametrize("name", CASES)
def test_what_the_sender_signs_is_accepted(name: str, sources: Service) -> None:
    headers = CASES[name].sign(BODY, sources.now)
    assert status(sources, name, headers) == 202


@pytest.mark.parametrize("name", CASES)
def test_without_its_header_or_with_it_twice_a_request_is_unverified(name: str, sources: Service) -> None:
    headers = CASES[name].sign(BODY, sources.now)
    for own in headers:
        assert status(sources, name, {key: value for key, value in headers.items() if key != own}) == 401
        assert status(sources, name, {**headers, own: ""}) == 401


@pytest.mark.parametrize("name", SIGNED)
def test_another_body_or_another_secret_is_unverified(name: str, sources: Service) -> None:
    headers = CASES[name].sign(BODY, sources.now)
    for body in (b"", BODY + b" ", BODY.replace(b"[]", b"{}"), b"{}"):
        assert status(sources, name, headers, body) == 401


@pytest.mark.parametrize("name", CASES)
def test_no_bit_of_a_request_may_change(name: str, sources: Service) -> None:
    """Where nothing is signed, only the headers count."""
    random, headers = Random(name), CASES[name].sign(BODY, sources.now)
    for _ in range(examples(25)):
        changed, body = dict(headers), BODY
        place = random.choice([*headers, "body"] if name in SIGNED else [*headers])
        if place == "body":
            position = random.randrange(len(BODY))
            body = BODY[:position] + bytes([BODY[position] ^ 1 << random.randrange(8)]) + BODY[position + 1 :]
        else:
            text = headers[place]
            position = random.randrange(len(text))
            other = chr(ord(text[position]) ^ 1 << random.randrange(7))
            changed[place] = text[:position] + other + text[position + 1 :]
            # HTTP has no control characters in headers; the name of a scheme has no case, and spaces around values no meaning.
            is_same = changed[place].strip().lower() == text.lower() and place == "Authorization" and position < 5
            if not other.isprintable() or is_same or changed[place].strip() == text:
                continue
        assert status(sources, name, changed, body) == 401, (place, changed, body)


@pytest.mark.parametrize("name", CASES)
def test_a_malformed_header_is_unverified(name: str, sources: Service) -> None:
    random, headers = Random(name), CASES[name].sign(BODY, sources.now)
    values = [
        "v1",
        "v1,",
        "v1,a,b",
        ",",
        "=",
        "t=",
        "t=,v1=",
        "t=1,t=2,v1=a",
        "v1,é",
        "\xff" * 20,
        "Basic",
        "Basic é",
        "  x  y ",
    ]
    values += [
        "0" * 5_000,
        "9" * 30,
        "-1",
        "1e9",
        "٣٤٥",
        "NaN",
        "2026-03-15",
        "2026-03-15T12:00:00",
        "9999-12-31T23:59:59-23:00",
    ]
    values += [text[: len(text) // 2] for text in headers.values()]
    values += ["".join(random.choices("v1,=t0aZ+/ .:-é", k=random.randrange(1, 60))) for _ in range(examples(10))]
    for value in values:
        for own in headers:
            encoded = {key: text.encode() for key, text in headers.items()} | {own: value.encode("utf-8")}
            answer = post(sources, name.replace(" ", "%20"), BODY, encoded)
            assert answer.status_code == 401, (own, value, answer.text)


@pytest.mark.parametrize("name", ["stripe", "standard", "hmac with time", "hmac with iso time"])
def test_a_time_is_at_most_five_minutes_away_in_both_directions(name: str, sources: Service) -> None:
    for minutes, expected in ((-6, 401), (-4, 202), (4, 202), (6, 401)):
        headers = CASES[name].sign(BODY, sources.now + timedelta(minutes=minutes))
        assert status(sources, name, headers) == expected, minutes


@pytest.mark.parametrize("name", ["stripe", "standard", "hmac with time", "hmac with iso time"])
def test_the_edges_of_the_window_are_exact(name: str, sources: Service) -> None:
    for sign in (-1, 1):
        for count, expected in ((300, 202), (301, 401)):
            headers = CASES[name].sign(BODY, sources.now + timedelta(seconds=sign * count))
            assert status(sources, name, headers) == expected, (sign, count)


def test_credentials_may_have_other_characters_in_either_encoding(service: Service) -> None:
    """Those that Latin-1 lacks are never left out: then another secret would do."""
    for secret, accepted in (("müller:grüße-an-alle", ("utf-8", "latin-1")), ("мир:пароль-этих-тестов", ("utf-8",))):
        put_source(service, "basic", "generic", secret, options={"scheme": "basic"}, mapping=MAPPING)
        for encoding in accepted:
            headers = {"Authorization": "Basic " + base64.b64encode(secret.encode(encoding)).decode()}
            assert post(service, "basic", BODY, headers).status_code == 202
        for encoding in ("ascii", "latin-1"):
            if encoding not in accepted:
                headers = {"Authorization": "Basic " + base64.b64encode(secret.encode(encoding, "ignore")).decode()}
                assert post(service, "basic", BODY, headers).status_code == 401


def test_what_svix_signs_is_accepted_also_by_its_own_headers(sources: Service) -> None:
    now = sources.now
    signature = svix.webhooks.Webhook(STANDARD_SECRET).sign("msg_svix", now, BODY.decode())
    for prefix in ("svix", "webhook"):
        headers = {f"{prefix}-id": "msg_svix", f"{prefix}-timestamp": seconds(now), f"{prefix}-signature": signature}
        assert status(sources, "standard", headers) == 202
        assert status(sources, "standard", headers | {f"{prefix}-id": "msg_svi"}) == 401


def test_headers_of_both_names_do_not_mix(sources: Service) -> None:
    standard = sign_standard(BODY, sources.now)
    other = sign_standard(BODY, sources.now, id="msg_2")
    mixed = {"svix-id": other["webhook-id"], "svix-timestamp": other["webhook-timestamp"]}
    assert status(sources, "standard", {**standard, **mixed}) == 202
    del standard["webhook-signature"]
    assert status(sources, "standard", {**standard, "svix-signature": other["webhook-signature"]}) == 401


def test_one_of_several_signatures_is_enough(sources: Service) -> None:
    header = sign_stripe(BODY, sources.now)["Stripe-Signature"]
    other = sign_stripe(BODY, sources.now, "whsec_another-secret-of-stripe-0123")["Stripe-Signature"]
    both = f"{other},{header.partition(',')[2]},v0=0000"
    assert status(sources, "stripe", {"Stripe-Signature": both}) == 202
    headers = sign_standard(BODY, sources.now)
    headers["webhook-signature"] = f"v1a,AAAA v1,AAAA {headers['webhook-signature']}"
    assert status(sources, "standard", headers) == 202
    svix = {name.replace("webhook", "svix"): value for name, value in sign_standard(BODY, sources.now).items()}
    assert status(sources, "standard", svix) == 202


def test_two_headers_are_one_too_many(sources: Service) -> None:
    headers = [("X-Signature", hexed(BODY)), ("X-Signature", hexed(BODY))]
    assert post(sources, "hmac", BODY, headers).status_code == 401


def test_an_unknown_source_answers_like_a_wrong_signature(sources: Service) -> None:
    unknown = post(sources, "no-such-source", BODY, {"X-Signature": hexed(BODY)})
    wrong = post(sources, "hmac", BODY, {"X-Signature": hexed(BODY, OTHER_SECRET)})
    assert unknown.status_code == wrong.status_code == 401
    assert unknown.json()["code"] == wrong.json()["code"]


def test_a_body_is_verified_as_it_was_sent_and_decompressed_afterwards(sources: Service) -> None:
    body = gzip.compress(BODY)
    headers = {"X-Signature": hexed(body), "Content-Encoding": "gzip"}
    assert status(sources, "hmac", headers, body) == 202
    assert status(sources, "hmac", {**headers, "X-Signature": hexed(BODY)}, body) == 401


def test_a_body_that_is_too_large_is_refused_before_it_is_verified(sources: Service) -> None:
    answer = post(sources, "hmac", b" " * (2**22 + 1), {"X-Signature": "x"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_an_api_key_does_not_replace_a_signature(sources: Service) -> None:
    answer = sources.request("POST", "/v1/inbound/hmac", json={})
    assert answer.status_code == 401


def test_of_a_url_all_escapes_but_the_question_mark_are_decoded() -> None:
    url = "https://example.com/v1/inbound/a%20b%3F?x=%3A%2F"
    request = SignedRequest("POST", url, [], b"{}")
    assert url_and_body(request, "1") == b"POSThttps://example.com/v1/inbound/a b%3F?x=:/{}1"
