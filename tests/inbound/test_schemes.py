"""Every scheme refuses a request of which one bit was changed, and headers of any shape, and raises nothing else.

The tests of signatures do the same over HTTP, for fewer requests.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import pytest

from app.core.errors import Unauthenticated
from app.inbound.define import VENDORS
from app.inbound.schemes import Scheme, SecretInUrl, SignedRequest
from tests.inbound.senders import SECRET, SECRETS, SIGN, UNSIGNED
from tests.inbound.test_signatures import BODY, CASES, SIGNED
from tests.support.campaign import examples
from tests.support.service import NOON

MALFORMED = (
    "",
    " ",
    ",",
    "=",
    "v1",
    "v1,",
    "v1,,",
    "t=,v1=",
    "t=1,t=2,v1=a",
    "sha256=",
    "Basic",
    "Basic \xff",
    "9" * 400,
)
CHARACTERS = "v1,=t0aZ+/ .:-\xe9\xff\t%"


class SignedCase(NamedTuple):
    """A request that a scheme accepts, with its secret. has_signed_body: whether the body is signed."""

    scheme: Scheme
    secret: str
    request: SignedRequest
    has_signed_body: bool


def build_case(name: str) -> SignedCase:
    if name == "secret in url":
        url = f"http://service/v1/inbound/x?a=b&secret={SECRET}"
        return SignedCase(SecretInUrl(), SECRET, SignedRequest("POST", url, [], BODY), False)
    if name in CASES:
        case = CASES[name]
        vendor, secret, sign, is_signed = VENDORS[case.vendor], case.secret, case.sign, name in SIGNED
        options = vendor.options.model_validate(case.options)
    else:
        vendor, secret, sign, is_signed = VENDORS[name], SECRETS.get(name, SECRET), SIGN[name], name not in UNSIGNED
        options = vendor.options.model_validate(vendor.example_options)
    headers = [(key.lower(), value) for key, value in sign(BODY, NOON).items()]
    request = SignedRequest("POST", f"http://service/v1/inbound/{name}", headers, BODY)
    return SignedCase(vendor.scheme_of(options), secret, request, is_signed)


NAMES = ["secret in url", *CASES, *(name for name in SIGN if name not in CASES)]


def is_accepted(case: SignedCase, request: SignedRequest) -> bool:
    try:
        case.scheme.verify(request, [case.secret], now=NOON)
    except Unauthenticated:
        return False
    return True


def replace_header(request: SignedRequest, index: int, value: str) -> SignedRequest:
    headers: Sequence[tuple[str, str]] = request.headers
    changed = [(name, value if own == index else old) for own, (name, old) in enumerate(headers)]
    return request._replace(headers=changed)


def flip_bit(case: SignedCase, random: Random) -> SignedRequest | None:
    """Return the request with one changed bit; None for a change that means nothing, as the case of a scheme's name."""
    request, bit = case.request, 1 << random.randrange(8)
    place = random.randrange(len(request.headers) + case.has_signed_body)
    if place == len(request.headers):
        position = random.randrange(len(request.body))
        body = request.body
        return request._replace(body=body[:position] + bytes([body[position] ^ bit]) + body[position + 1 :])
    name, text = request.headers[place]
    position = random.randrange(len(text))
    if name == "authorization" and position < len("Basic "):
        return None
    return replace_header(request, place, text[:position] + chr(ord(text[position]) ^ bit) + text[position + 1 :])


@pytest.mark.parametrize("name", NAMES)
def test_a_signed_request_is_accepted_and_not_with_another_secret(name: str) -> None:
    case = build_case(name)
    assert is_accepted(case, case.request)
    other = f"{case.secret[:8]}{'B' if case.secret[8] == 'A' else 'A'}{case.secret[9:]}"
    assert not is_accepted(case._replace(secret=other), case.request)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "secret in url"])
def test_a_request_with_a_changed_bit_is_refused(name: str) -> None:
    case, random = build_case(name), Random(name)
    for _ in range(examples(200)):
        if (request := flip_bit(case, random)) is not None:
            assert not is_accepted(case, request), request


@pytest.mark.parametrize("name", NAMES)
def test_malformed_headers_are_refused(name: str) -> None:
    case, random = build_case(name), Random(name)
    shapes = ["".join(random.choices(CHARACTERS, k=random.randrange(60))) for _ in range(examples(10))]
    for value in (*MALFORMED, *shapes):
        if name == "secret in url":
            assert not is_accepted(case, case.request._replace(url=f"http://service/v1/inbound/x?secret={value}"))
        for index in range(len(case.request.headers)):
            assert not is_accepted(case, replace_header(case.request, index, value)), (index, value)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "secret in url"])
def test_how_long_a_comparison_takes_does_not_tell_how_much_is_right(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of the same length are compared as often by `compare_digest`, whatever they have in common."""
    case = build_case(name)
    calls: list[tuple[int, int]] = []

    def compare(value: bytes, expected: bytes) -> bool:
        calls.append((len(value), len(expected)))
        return False

    monkeypatch.setattr("app.inbound.schemes.hmac.compare_digest", compare)
    value = case.request.headers[-1][1]
    for index in (-2, len(value) // 2):
        start = value[:index]
        other = start + ("x" if value[index] != "x" else "y") + value[len(start) + 1 :]
        assert not is_accepted(case, replace_header(case.request, len(case.request.headers) - 1, other))
    assert len(calls) == 2 and calls[0] == calls[1]
