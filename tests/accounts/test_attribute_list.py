"""The catalogue of attributes: keys, types and most frequent values."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounts import attribute_list
from tests.support.campaign import examples
from tests.support.hostile import without_deadline
from tests.support.service import Service, account_update


def get_attributes(service: Service, **params: Any) -> dict[str, dict[str, Any]]:
    return {entry["key"]: entry for entry in service.get("/v1/attributes", **params)["attributes"]}


def test_attributes_have_types_accounts_and_the_most_frequent_values_first(service: Service) -> None:
    plans = ["pro", "free", "pro", "team", "pro", "free"]
    service.send(*(account_update(f"a{number}", plan=plan, seats=number % 2) for number, plan in enumerate(plans)))
    service.send(
        account_update("b", seats="many"), account_update("c", seats=True), account_update("d", **{"Zip code": None})
    )
    service.put("/v1/accounts/a0", {"name": "Acme"})
    attributes = get_attributes(service)
    assert [*attributes] == ["Zip code", "name", "plan", "seats"]
    assert attributes["plan"] == {
        "key": "plan",
        "types": ["string"],
        "accounts": 6,
        "values": [
            {"value": "pro", "accounts": 3},
            {"value": "free", "accounts": 2},
            {"value": "team", "accounts": 1},
        ],
        "sampled": False,
    }
    assert attributes["seats"]["types"] == ["boolean", "number", "string"]
    assert attributes["seats"]["accounts"] == 8
    assert attributes["Zip code"] == {"key": "Zip code", "types": [], "accounts": 0, "values": [], "sampled": False}
    assert attributes["name"]["values"] == [{"value": "Acme", "accounts": 1}]


def test_values_are_those_of_today(service: Service) -> None:
    service.send(account_update(plan="free"), account_update(plan="pro", at="2026-03-01T00:00:00Z"))
    service.send(account_update("globex", plan="team"), account_update("globex", plan=None, at="2026-03-01T00:00:00Z"))
    assert get_attributes(service)["plan"]["values"] == [{"value": "pro", "accounts": 1}]


def test_pages_together_have_every_attribute_once(service: Service) -> None:
    keys = [f"key {number:02}" for number in range(23)]
    service.send(account_update(**dict.fromkeys(keys, "x")))
    listed: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = service.request("GET", "/v1/attributes", params={"limit": 5} | cursor)
        page = answer.json()
        listed += [entry["key"] for entry in page["attributes"]]
        if page["next"] is None:
            assert "link" not in answer.headers
            break
        assert 'rel="next"' in answer.headers["link"]
        cursor = {"cursor": page["next"]}
    assert listed == keys


def test_an_empty_catalogue_is_a_list(service: Service) -> None:
    assert service.get("/v1/attributes") == {"attributes": [], "next": None}


def test_an_attribute_of_very_many_accounts_is_sampled(service: Service, monkeypatch: Any) -> None:
    statement = attribute_list._ATTRIBUTES.replace(str(attribute_list._MAX_ROWS), "10")
    monkeypatch.setattr(attribute_list, "_ATTRIBUTES", statement)
    service.send(*(account_update(f"a{number}", plan="pro") for number in range(12)), account_update("b", vip=True))
    attributes = get_attributes(service)
    assert (attributes["plan"]["sampled"], attributes["plan"]["accounts"]) == (True, 10)
    assert (attributes["vip"]["sampled"], attributes["vip"]["accounts"]) == (False, 1)


@pytest.mark.parametrize(("count", "sampled"), [(9, False), (10, False), (11, True)])
def test_only_a_sample_says_so(service: Service, monkeypatch: Any, count: int, sampled: bool) -> None:
    statement = attribute_list._ATTRIBUTES.replace(str(attribute_list._MAX_ROWS), "10")
    monkeypatch.setattr(attribute_list, "_ATTRIBUTES", statement)
    service.send(*(account_update(f"a{number}", plan="pro") for number in range(count)))
    attribute = get_attributes(service)["plan"]
    assert (attribute["sampled"], attribute["accounts"]) == (sampled, min(count, 10))
    assert attribute["values"] == [{"value": "pro", "accounts": min(count, 10)}]


@settings(without_deadline, max_examples=examples(25))
@given(st.integers(0, 2**32))
def test_any_attributes_are_counted_as_they_were_sent(shared: Service, seed: int) -> None:
    random = Random(seed)
    values: dict[str, dict[str, Any]] = {}
    for number in range(random.randrange(1, 6)):
        for key in random.sample(["plan", "tier", "vip"], random.randrange(1, 4)):
            value = random.choice(["a", "b", 1, True, None])
            values.setdefault(f"{seed}-{key}", {})[f"{seed}-{number}"] = value
    by_account: dict[str, dict[str, Any]] = {}
    for key, own in values.items():
        for account, value in own.items():
            by_account.setdefault(account, {})[key] = value
    shared.send(*(account_update(account, **own) for account, own in by_account.items()))
    attributes = {}
    cursor: dict[str, str] = {}
    while True:
        page = shared.get("/v1/attributes", **cursor)
        attributes |= {entry["key"]: entry for entry in page["attributes"]}
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    for key, own in values.items():
        counts = Counter(repr(value) for value in own.values() if value is not None)
        assert {repr(each["value"]): each["accounts"] for each in attributes[key]["values"]} == counts
        assert attributes[key]["accounts"] == sum(counts.values())
