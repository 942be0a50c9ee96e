"""The mapping file of an import: what it may say, and how it is told what is wrong with it."""

import doctest
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.ingest.files import mapping

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "ravenstack.toml"
SOURCE = '[[source]]\nfile = "*.csv"\n'
EVENT = '[[source.event]]\ntype = "t"\nid = "{id}"\noccurred_at = "{at}"\n'
LOOKUP = '[lookup.l]\nfile = "l.csv"\nkey = "k"\n'


def column(said: str) -> str:
    return f"{SOURCE}columns.c = {said}\n{EVENT}"


WRONG = {
    "no source": ("", "source: is needed"),
    "an unknown table": ("[sauce]\n" + SOURCE + EVENT, "sauce: there is no such key"),
    "an unknown key of a source": (SOURCE + "fiel = 1\n" + EVENT, "source 1, fiel: there is no such key"),
    "a source without events": (SOURCE, "source 1, event: is needed"),
    "an event without an id": (SOURCE + EVENT.replace("id =", "#"), "source 1, event 1, id: is needed"),
    "a second event with a typing error": (SOURCE + EVENT + EVENT + "uid = 1", "source 1, event 2, uid: there is no"),
    "a stray brace": (SOURCE + EVENT + 'user_id = "a}"', "source 1, event 1, user_id: the } at character 2"),
    "a stray brace in data": (
        SOURCE + EVENT + 'data.attributes.plan = ["{"]',
        "source 1, event 1, data: attributes: plan: the {",
    ),
    "a bad condition": (SOURCE + EVENT + 'when = "plan = "', "source 1, event 1, when: Expected a value"),
    "a skip without a reason": (
        SOURCE + "skip = [{ when = 'a = 1' }]\n" + EVENT,
        "source 1, skip 1, reason: is needed",
    ),
    "an unknown type": (column('"int"'), "source 1, columns, c, type: Input should be 'text', 'integer'"),
    "an unknown option": (column('{ typ = "text" }'), "source 1, columns, c, typ: there is no such key"),
    "an option of another type": (column('{ format = "%d" }'), "c: format is for type datetime or date"),
    "an unknown time zone": (column('{ type = "date", zone = "Mars" }'), "zone: 'Mars' is not a time zone"),
    "an impossible format": (column('{ type = "date", format = "%d.%Q" }'), "format: 'Q' is a bad directive"),
    "a number in two ways": (column('{ type = "money", thousands = "." }'), "thousands are the same"),
    "a default for what must be there": (column('{ default = 0, when_empty = "null" }'), "exclude each other"),
    "a look-up without by": (LOOKUP + column('{ lookup = "l", column = "x" }'), "lookup needs by and column"),
    "by without a look-up": (column('{ by = "x" }'), "by and when_unknown are for a lookup"),
    "a look-up that is not there": (
        column('{ lookup = "l", by = "x", column = "y" }'),
        "source 1: columns.c: there is no [lookup.l]",
    ),
    "a look-up in a circle": (
        LOOKUP
        + SOURCE
        + 'columns.a = { lookup = "l", by = "b", column = "x" }\ncolumns.b = { lookup = "l", by = "a", column = "x" }\n'
        + EVENT,
        "columns.a: the look-up asks itself (a by b by a)",
    ),
    "a column of a reserved name": (SOURCE + 'columns.line = "text"\n' + EVENT, "columns.line: line is the row's own"),
    "an encoding that is none": (SOURCE + 'encoding = "klingon"\n' + EVENT, "encoding: 'klingon' is not a text"),
    "an encoding of two bytes": (SOURCE + 'encoding = "utf-16"\n' + EVENT, "convert the file to UTF-8"),
    "a delimiter of two characters": (SOURCE + 'delimiter = "||"\n' + EVENT, "source 1, delimiter"),
    "a number for a text": (SOURCE + EVENT.replace('"{id}"', "7"), "source 1, event 1, id: Input should be a valid"),
    "no TOML": ("source = [", "is not TOML"),
    "a key twice": ("a = 1\na = 2", "is not TOML"),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_mapping_is_refused_with_the_table_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        mapping.load(_file(tmp_path, text))
    assert words in refusal.value.detail
    assert refusal.value.code == "bad_mapping"


def test_every_fault_is_told_at_once_with_a_pointer(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refusal:
        mapping.load(_file(tmp_path, SOURCE + 'one = 1\n[[source.event]]\ntype = "t"\n'))
    assert [fault["pointer"] for fault in refusal.value.errors] == [
        "/source/0/event/0/id",
        "/source/0/event/0/occurred_at",
        "/source/0/one",
    ]
    assert refusal.value.detail.count("\n") == 3


def test_a_mapping_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'")
    for name, words in (("none.toml", "cannot be read"), ("bytes.toml", "is not TOML"), ("", "cannot be read")):
        with pytest.raises(Invalid, match=words):
            mapping.load(tmp_path / name)


def test_a_type_alone_may_stand_for_its_column(tmp_path: Path) -> None:
    short = mapping.load(_file(tmp_path, column('"money"')))
    long = mapping.load(_file(tmp_path, column('{ type = "money" }')))
    assert short == long


def test_a_look_up_by_the_raw_column_of_its_own_name_is_no_circle(tmp_path: Path) -> None:
    said = '{ lookup = "l", by = "c", column = "x" }'
    assert mapping.load(_file(tmp_path, LOOKUP + column(said))).source[0].columns["c"].by == "c"


def test_the_folder_of_look_ups_is_seen_from_the_mapping(tmp_path: Path) -> None:
    assert Path(mapping.load(_file(tmp_path, SOURCE + EVENT)).folder) == tmp_path
    assert Path(mapping.load(_file(tmp_path, 'folder = "more"\n' + SOURCE + EVENT)).folder) == tmp_path / "more"


def test_the_mapping_in_the_documentation_is_one(tmp_path: Path) -> None:
    assert mapping.__doc__
    text = mapping.__doc__.split("\n\n", 1)[1].split("\nA text of an event")[0]
    read = mapping.load(_file(tmp_path, text))
    assert read.source[0].columns["used_on"].zone == "Europe/Berlin"
    assert read.source[0].event[0].data == {"feature": "{feature}", "count": "{uses}"}


def test_the_example_of_ravenstack_is_a_mapping_of_five_files() -> None:
    assert len(mapping.load(EXAMPLE).source) == 5


def test_every_key_of_a_mapping_is_documented() -> None:
    parts = (mapping.Lookup, mapping.Column, mapping.Event, mapping.Skip, mapping.Source, mapping.Mapping)
    assert all(table.__doc__ for table in parts)
    unsaid = [name for table in parts for name, key in table.model_fields.items() if not key.description]
    assert unsaid == []


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(mapping).failed == 0


def _file(folder: Path, text: str) -> Path:
    path = folder / "mapping.toml"
    path.write_text(text, "utf-8")
    return path
