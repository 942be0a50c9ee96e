"""Mapping files of an import: what they may contain, and how their errors are reported."""

import doctest
from pathlib import Path

import pytest
from pydantic import BaseModel

from app.core.errors import Invalid
from app.ingest.files import mapping, templates
from app.ingest.files.columns import FileColumn
from app.ingest.files.mapping_file import load_mapping

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "ravenstack.toml"
SOURCE = '[[source]]\nfile = "*.csv"\n'
EVENT = '[[source.event]]\ntype = "account.updated"\nid = "{id}"\naccount_id = "{id}"\noccurred_at = "{at}"\n'
LOOKUP = '[lookup.l]\nfile = "l.csv"\nkey = "k"\n'


def with_column(definition: str) -> str:
    """Return a mapping in which the column `c` has this definition."""
    return f"{SOURCE}columns.c = {definition}\n{EVENT}"


INVALID_MAPPINGS = {
    "no source": ("", "source: this key is required"),
    "an unknown table": ("[sauce]\n" + SOURCE + EVENT, "sauce: unknown key"),
    "an unknown key of a source": (SOURCE + "fiel = 1\n" + EVENT, "source 1, fiel: unknown key"),
    "a source without events": (SOURCE, "source 1, event: this key is required"),
    "an event without an id": (SOURCE + EVENT.replace("\nid =", "\n#"), "source 1, event 1, id: this key is required"),
    "a typing error in the second event": (SOURCE + EVENT + EVENT + "uid = 1", "source 1, event 2, uid: unknown key"),
    "a stray brace": (SOURCE + EVENT + 'user_id = "a}"', "source 1, event 1, user_id: the } at position 2"),
    "a stray brace in data": (
        SOURCE + EVENT + 'data.attributes.plan = ["{"]',
        "source 1, event 1, data: attributes: plan: the {",
    ),
    "an invalid condition": (SOURCE + EVENT + 'when = "plan = "', "source 1, event 1, when: Expected a value"),
    "a skip rule without a reason": (
        SOURCE + "skip = [{ when = 'a = 1' }]\n" + EVENT,
        "source 1, skip 1, reason: this key is required",
    ),
    "an unknown type": (with_column('"int"'), 'source 1, columns, c, type: "int" is not one of text, integer'),
    "an unknown option": (with_column('{ typ = "text" }'), "source 1, columns, c, typ: unknown key"),
    "an option of another type": (
        with_column('{ format = "%d.%m.%Y" }'),
        "c: format is only for columns of type datetime or date",
    ),
    "an unknown time zone": (with_column('{ type = "date", zone = "Mars" }'), "zone: 'Mars' is not a time zone"),
    "an impossible time format": (
        with_column('{ type = "date", format = "%d.%Q" }'),
        "format: 'Q' is a bad directive",
    ),
    "one character for decimals and thousands": (
        with_column('{ type = "money", thousands = "." }'),
        "thousands are the same",
    ),
    "a default and another rule for empty cells": (
        with_column('{ default = 0, when_empty = "null" }'),
        "exclude each other",
    ),
    "a lookup without by": (LOOKUP + with_column('{ lookup = "l", column = "x" }'), "lookup needs by and column"),
    "by without a lookup": (with_column('{ by = "x" }'), "by and when_unknown are only for columns with lookup"),
    "an undefined lookup": (
        with_column('{ lookup = "l", by = "x", column = "y" }'),
        "source 1: columns.c: [lookup.l] is not in the mapping",
    ),
    "a lookup that depends on itself": (
        LOOKUP
        + SOURCE
        + 'columns.a = { lookup = "l", by = "b", column = "x" }\ncolumns.b = { lookup = "l", by = "a", column = "x" }\n'
        + EVENT,
        "columns.a: it depends on itself (a by b by a)",
    ),
    "a template of itself": (with_column('{ template = "{d} {c}" }'), "columns.c: it depends on itself (c by c)"),
    "a stray brace in a template": (with_column('{ template = "{d" }'), "columns.c: the { at position 1"),
    "a template of a column": (with_column('{ template = "{d}", column = "d" }'), "exclude each other"),
    "an unknown encoding": (SOURCE + 'encoding = "klingon"\n' + EVENT, 'encoding: unknown text encoding "klingon"'),
    "a delimiter of two characters": (SOURCE + 'delimiter = "||"\n' + EVENT, "source 1, delimiter"),
    "a number for a text": (SOURCE + EVENT.replace('"{id}"', "7"), "source 1, event 1, id: must be a text in quotes"),
    "no TOML": ("source = [", "is not valid TOML"),
    "a key twice": ("a = 1\na = 2", "is not valid TOML"),
}


@pytest.mark.parametrize(("text", "message"), INVALID_MAPPINGS.values(), ids=INVALID_MAPPINGS)
def test_an_invalid_mapping_is_reported_with_table_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Invalid) as error:
        load_mapping(write(tmp_path, text))
    assert message in error.value.detail
    assert error.value.code == "bad_mapping"


def test_all_faults_of_a_mapping_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as error:
        load_mapping(write(tmp_path, SOURCE + 'one = 1\n[[source.event]]\ntype = "x"\n'))
    assert error.value.detail.splitlines()[1:] == [
        "  source 1, event 1, id: this key is required",
        "  source 1, event 1, occurred_at: this key is required",
        "  source 1, one: unknown key.",
    ]


def test_a_mapping_that_is_missing_or_not_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'")
    for name, message in (("none.toml", "cannot be read"), ("bytes.toml", "is not valid TOML"), ("", "cannot be read")):
        with pytest.raises(Invalid, match=message):
            load_mapping(tmp_path / name)


def test_a_type_alone_may_define_a_column(tmp_path: Path) -> None:
    short = load_mapping(write(tmp_path, with_column('"money"')))
    long = load_mapping(write(tmp_path, with_column('{ type = "money" }')))
    assert short == long


def test_a_lookup_by_the_cell_of_its_own_name_does_not_depend_on_itself(tmp_path: Path) -> None:
    definition = '{ lookup = "l", by = "c", column = "x" }'
    assert load_mapping(write(tmp_path, LOOKUP + with_column(definition))).source[0].columns["c"].by == "c"


def test_the_folder_of_lookup_files_is_relative_to_the_mapping(tmp_path: Path) -> None:
    assert Path(load_mapping(write(tmp_path, SOURCE + EVENT)).folder) == tmp_path
    assert Path(load_mapping(write(tmp_path, 'folder = "more"\n' + SOURCE + EVENT)).folder) == tmp_path / "more"


def test_the_example_in_the_documentation_is_a_valid_mapping(tmp_path: Path) -> None:
    assert mapping.__doc__
    text = mapping.__doc__.split("\n\n", 1)[1].split("\n**Templates.**")[0]
    example = load_mapping(write(tmp_path, text))
    assert example.source[0].columns["used_on"].zone == "Europe/Berlin"
    assert example.source[0].event[0].data == {"feature": "{feature}", "count": "{uses}"}


def test_the_ravenstack_example_maps_five_files() -> None:
    assert len(load_mapping(EXAMPLE).source) == 5


def test_every_table_and_key_of_a_mapping_is_documented() -> None:
    tables: list[type[BaseModel]] = [mapping.LookupFile, FileColumn, mapping.EventTemplate, mapping.SkipRule]
    tables += [mapping.FileSource, mapping.ImportMapping]
    assert all(table.__doc__ for table in tables)
    undocumented = [name for table in tables for name, key in table.model_fields.items() if not key.description]
    assert undocumented == []


def test_the_examples_in_the_docstrings_hold() -> None:
    results = doctest.testmod(templates)
    assert results.attempted and not results.failed


def write(folder: Path, text: str) -> Path:
    """Write a mapping file and return its path."""
    path = folder / "mapping.toml"
    path.write_text(text, "utf-8")
    return path
