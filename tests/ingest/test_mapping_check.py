"""All faults of a mapping, whatever the files hold, are reported before any file is read."""

# ruff: noqa: E501
# One line a case, so that the cases can be read as a table.

from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Invalid
from app.ingest.define import EVENT_TYPES
from app.ingest.files.mapping_file import load_mapping

ENVELOPE = {"id": "{id}", "account_id": "{account}", "user_id": "{user}", "occurred_at": "{at}"}


def toml(value: Any) -> str:
    """Return a value in TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {toml(item)}' for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)


def faults(
    folder: Path, event: dict[str, Any], *, columns: str = "", source: str = "", file: str = "*.csv", **rest: Any
) -> list[str]:
    """Return what is wrong with a mapping of one event, a line each."""
    lines = [f"{key} = {toml(value)}" for key, value in (ENVELOPE | event).items() if value is not None]
    text = f"[[source]]\nfile = '{file}'\n{source}\n[source.columns]\n{columns}\n[[source.event]]\n" + "\n".join(lines)
    path = folder / "mapping.toml"
    path.write_text(text + rest.get("after", ""), "utf-8")
    try:
        load_mapping(path)
    except Invalid as error:
        return error.detail.splitlines()[1:]
    return []


SUBSCRIPTION = {
    "type": "subscription.changed",
    "data": {"subscription_id": "{id}", "amount": "{price}", "interval": "month"},
}
PRICE = 'price = "money"'


def changed(**data: Any) -> dict[str, Any]:
    """Return an event `subscription.changed` with other data; None leaves a field out."""
    merged = SUBSCRIPTION["data"] | data  # type: ignore[operator]
    return SUBSCRIPTION | {"data": {name: value for name, value in merged.items() if value is not None}}


RESPONSE = {"type": "survey.responded", "data": {"survey": "nps", "score": "{score}"}}
SCORE = 'score = "integer"'

FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a misspelt type": ({"type": "subscriptions.changed"}, "", 'type: "subscriptions.changed" is no event type. Did you mean subscription.changed'),
    "a misspelt field": (changed(amunt="{price}"), PRICE, "data, amunt: subscription.changed has no such field. Did you mean amount?"),
    "a unit in the plural": (changed(interval="months"), PRICE, 'data, interval: "months" is not one of week, month, quarter, year. Did you mean month?'),
    "a value of another type": (changed(interval_count="two"), PRICE, "data, interval_count: "),
    "a number that is too large": (changed(interval_count=500), PRICE, "data, interval_count: 500: "),
    "a currency in small letters": (changed(currency="eur"), PRICE, 'data, currency: "eur": "currency" must be three capital letters'),
    "a price that is missing": (changed(amount=None), PRICE, "data: The price is required"),
    "two prices": (changed(mrr=10, amount="12"), PRICE, "data: The price is there twice"),
    "a field that is missing": (RESPONSE | {"data": {"survey": "nps"}}, "", "data: survey.responded needs score"),
    "an account that is missing": (SUBSCRIPTION | {"account_id": None, "user_id": None}, PRICE, "subscription.changed needs account_id"),
    "a user that is missing": ({"type": "session.ended", "user_id": None, "data": {"duration_seconds": 5}}, "", "session.ended needs user_id"),
    "a score that is text": (RESPONSE, "", 'data, score: a whole number is needed, but column score is of type text. Give it type = "integer"'),
    "a score with text around it": (RESPONSE | {"data": {"survey": "nps", "score": "{score}0"}}, SCORE, '"{score}0" makes a text, but a whole number is needed'),
    "an id that is a number": (changed(subscription_id="{n}"), PRICE + '\nn = "integer"', 'data, subscription_id: a text is needed, but column n is of type integer'),
    "a unit of time that does not exist": (changed(effective_at="{at} + 1 dya"), PRICE + '\nat = "datetime"', 'data, effective_at: "dya" is no unit of time. Use one of minute, hour, day, week, month, year. Did you mean day?'),
    "a unit of time that does not exist, in an envelope": (SUBSCRIPTION | {"occurred_at": "{at} + {term} mnths - 1 day"}, PRICE, 'occurred_at: "mnths" is no unit of time. Use one of minute, hour, day, week, month, year. Did you mean month?'),
    "a date for a time": ({"type": "subscription.changed", "data": {"subscription_id": "{id}", "mrr": "1", "effective_at": "{end}"}}, 'end = "date"', 'data, effective_at: a time is needed, but column end is of type date. Give it type = "datetime"'),
    "a last paid day as an end": ({"type": "subscription.canceled", "data": {"subscription_id": "{id}", "ends_at": "{end}"}}, 'end = "date"', 'data, ends_at: column end: The first moment that is not paid for is a time. The last paid day, a date, belongs in "paid_through".'),
    "an end as a last paid day": ({"type": "subscription.canceled", "data": {"subscription_id": "{id}", "paid_through": "{end}"}}, 'end = "datetime"', 'data, paid_through: a day is needed, but column end is of type datetime. Give it type = "date"'),
    "a day added to a text": ({"type": "subscription.canceled", "data": {"subscription_id": "{id}", "ends_at": "{end} + 1 day"}}, "", 'data, ends_at: time can be added only to a column of type datetime or date. Give column end type = "datetime"'),
    "tags that are no list": (RESPONSE | {"data": {"survey": "nps", "score": "{score}", "tags": "{tags}"}}, SCORE, "data, tags: a list is needed, but column tags is of type text. Give it a separator"),
    "a spelling that stands for no value of the field": ({"type": "ticket.replied", "data": {"ticket_id": "{id}", "by": "{p}"}}, 'p = { values = { us = "agent", them = "custmer" } }', 'data, by: "custmer" is not one of agent, customer. Did you mean customer?'),
    "a default that no field takes": (RESPONSE, 'score = { type = "integer", default = "ten" }', "data, score: the default is not a number"),
    "a default of another type": (RESPONSE, 'score = { type = "integer", default = 1.5 }', "data, score: 1.5: "),
    "an unknown unit of an added day": (SUBSCRIPTION | {"recorded_on": "{at} - {n} quarters"}, PRICE, 'recorded_on: "quarters" is no unit of time'),
    "an unknown unit in the data": ({"type": "subscription.canceled", "data": {"subscription_id": "{id}", "ends_at": "{end} + 1 dy"}}, 'end = "datetime"', 'data, ends_at: "dy" is no unit of time'),
    "a column of truth values compared with a text": (SUBSCRIPTION | {"when": 'paid = "true"'}, PRICE + '\npaid = "boolean"', "when: column paid is of type boolean: write true without quotes"),
    "a misspelt column of a comparison": (SUBSCRIPTION | {"when": "pricee > 5"}, PRICE, 'under [source.columns]. Did you mean price?'),
    "a time that is none": (SUBSCRIPTION | {"occurred_at": "yesterday"}, PRICE, 'occurred_at: "yesterday" is not a time of ISO 8601'),
    "a day that is none": (SUBSCRIPTION | {"recorded_on": "2026-02-30"}, PRICE, 'recorded_on: "2026-02-30" is not a time'),
    "a number compared with a text": (SUBSCRIPTION | {"when": 'price > "9"'}, PRICE, 'when: column price is of type money and is compared with "9"'),
    "a text compared with a number": (SUBSCRIPTION | {"when": "seats >= 9"}, PRICE, "when: column seats is of type text and is compared with 9. Give it type"),
    "a text compared with a truth value": (SUBSCRIPTION | {"when": "paid = true"}, PRICE, 'when: column paid is of type text and is compared with true. Give it type = "boolean"'),
    "a value that a column never has": (SUBSCRIPTION | {"when": 'p = "urgnt"'}, PRICE + '\np = { values = { P1 = "urgent" } }', 'when: column p never is "urgnt". Did you mean urgent?'),
    "a comparison with an empty text": (SUBSCRIPTION | {"when": 'x = ""'}, PRICE, "when: column x never is an empty text: an empty cell has no value. Write x is null"),
    "a misspelt type among the values of a column": (SUBSCRIPTION | {"type": "{kind}"}, PRICE + '\nkind = { values = { new = "subscription.chnged", gone = "subscription.canceled" } }', 'type: "subscription.chnged" is no event type. Did you mean subscription.changed'),
}  # fmt: skip


@pytest.mark.parametrize(("event", "columns", "message"), FAULTS.values(), ids=FAULTS)
def test_a_constant_that_cannot_be_right_is_said_with_its_place(
    tmp_path: Path, event: dict[str, Any], columns: str, message: str
) -> None:
    found = faults(tmp_path, event, columns=columns)
    assert [message in fault and fault.startswith("  source 1, event 1") for fault in found] == [True], found


VALID: dict[str, tuple[dict[str, Any], str, str]] = {
    "a price in one of two columns": (changed(mrr="{mrr}"), PRICE + '\nmrr = "money"', "*.csv"),
    "amounts of text": (SUBSCRIPTION, "", "*.csv"),
    "a time of text": ({"type": "subscription.canceled", "data": {"subscription_id": "{id}", "ends_at": "{end}"}}, "", "*.csv"),
    "a day added to a time": ({"type": "subscription.canceled", "data": {"subscription_id": "{id}", "ends_at": "{end} + 1 day"}}, 'end = "datetime"', "*.csv"),
    "an id that looks like an added time": (changed(subscription_id="{id} + 1 dya"), PRICE, "*.csv"),
    "numbers of JSON": (RESPONSE, "", "*.ndjson"),
    "numbers of files whose format is unknown": (RESPONSE, "", "*"),
    "a list": (RESPONSE | {"data": {"survey": "nps", "score": "{score}", "tags": "{tags}"}}, SCORE + '\ntags = { separator = ";" }', "*.csv"),
    "a list of texts": (RESPONSE | {"data": {"survey": "nps", "score": "{score}", "tags": ["{a}", "b"]}}, SCORE, "*.csv"),
    "attributes of all types": ({"type": "account.updated", "user_id": None, "data": {"attributes": {"a": "{a}", "b": "{b}", "c": 1, "d": True}}}, 'a = "integer"\nb = "boolean"', "*.csv"),
    "the type in a column": (SUBSCRIPTION | {"type": "{kind}", "data": {"anything": "{a}"}}, "", "*.csv"),
    "an object in a column": (SUBSCRIPTION | {"data": "{payload}"}, "", "*.ndjson"),
    "several types with fields of their own": (SUBSCRIPTION | {"type": "{kind}", "data": {"ticket_id": "{id}", "priority": "high"}}, 'kind = { values = { o = "ticket.opened", r = "ticket.resolved" } }', "*.csv"),
    "a default": (RESPONSE, 'score = { type = "integer", default = 5 }', "*.csv"),
    "a condition on dates": (SUBSCRIPTION | {"when": 'd >= "2026-01-01" and price > 5 and x is not null and y != ""'}, PRICE + '\nd = "date"', "*.csv"),
}  # fmt: skip


@pytest.mark.parametrize(("event", "columns", "file"), VALID.values(), ids=VALID)
def test_what_may_be_right_is_left_to_the_rows(tmp_path: Path, event: dict[str, Any], columns: str, file: str) -> None:
    assert faults(tmp_path, event, columns=columns, file=file) == []


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_the_examples_of_every_event_type_are_valid_as_constants(tmp_path: Path, event_type: Any) -> None:
    for example in event_type.examples:
        assert faults(tmp_path, {"type": event_type.name, "data": dict(example)}) == []


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_every_misspelt_field_of_every_event_type_is_found(tmp_path: Path, event_type: Any) -> None:
    for name in event_type.example:
        data = {(f"{name}x" if key == name else key): value for key, value in event_type.example.items()}
        found = faults(tmp_path, {"type": event_type.name, "data": data})
        assert any(f"data, {name}x: {event_type.name} has no such field. Did you mean " in fault for fault in found)


def test_a_group_of_rows_has_no_hash(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, SUBSCRIPTION | {"id": "o-{row_hash}"}, columns=PRICE, source='group_by = ["id"]')
    assert fault == "  source 1, event 1: a group of rows has no row_hash; make the id of the columns of group_by"


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    after = "\n[[source.event]]\ntype = 'sesion.ended'\nid = '{id}'\naccount_id = '{a}'\noccurred_at = 'now'\n"
    found = faults(tmp_path, changed(interval="months", plann="pro"), columns=PRICE, after=after)
    assert [fault.partition(": ")[0] for fault in found] == [
        "  source 1, event 1, data, interval",
        "  source 1, event 1, data, plann",
        "  source 1, event 2, occurred_at",
        "  source 1, event 2, type",
    ]


def test_an_unknown_key_is_said_with_the_nearest(tmp_path: Path) -> None:
    for key, message in (
        ("event = 1", "source 1, event: must be a list"),
        ("delimeter = ';'", "source 1, delimeter: unknown key. Did you mean delimiter?"),
        ("columns.x = { tpye = 'text' }", "source 1, columns, x, tpye: unknown key. Did you mean type"),
        ("columns.x = { zone = 'UTC', type = 'datetime', format = 'dd.mm.yyyy HH:MM' }", 'format: "dd.mm.yyyy HH:MM" names no part of a time; write "%d.%m.%Y %H:%M"'),
        ("columns.x = { type = 'date', format = '%d.%m.' }", 'format: "%d.%m." does not say the year'),
    ):  # fmt: skip
        path = tmp_path / "mapping.toml"
        path.write_text(f"[[source]]\nfile = '*'\n{key}\n", "utf-8")
        with pytest.raises(Invalid) as error:
            load_mapping(path)
        assert message in error.value.detail
