"""The reference lists every error code and every reason that the code of `app` uses, and no other.

Codes are found in the syntax of the code:

- the argument `code=` of any call, and the class's own `code` where an error is raised without one;
- the first argument of errors whose first parameter is `code`, and of Pydantic's `PydanticCustomError`;
- texts that begin with a code and a colon, which importing files uses for rows (`bad_value: …`);
- the codes for errors of the web framework.

Reasons are the arguments `if_empty=` and `reason=` in the packages `metrics`, `scorecard` and `health`; those of a back-test
are what its schema describes.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

from pydantic_core.core_schema import ErrorType

from app.core import codes, sentences
from app.health.backtest.schema import BACKTEST_SCHEMA
from app.http.encoding import JSON

APP = Path(__file__).parents[2] / "app"
CODE = re.compile(r"[a-z]+(_[a-z]+)*")
REFERENCE = [*codes.REQUEST, *codes.EVENT, *codes.FIELD, *codes.IMPORT, *codes.COMMAND]


@cache
def trees() -> dict[str, ast.Module]:
    return {path.relative_to(APP).as_posix(): ast.parse(path.read_text()) for path in sorted(APP.rglob("*.py"))}


def nodes(kind: type[ast.AST], folder: str = "") -> Iterator[ast.AST]:
    for name, tree in trees().items():
        if name.startswith(folder):
            yield from (node for node in ast.walk(tree) if isinstance(node, kind))


def name_of(function: ast.expr) -> str:
    """The name of what is called: `Invalid` of `Invalid(…)`, of `errors.Invalid(…)` and of `Invalid.at(…)`."""
    if isinstance(function, ast.Attribute):
        return name_of(function.value) if function.attr == "at" else function.attr
    return function.id if isinstance(function, ast.Name) else ""


def text_of(node: ast.expr | None) -> str:
    """The text of a constant, or the beginning of an f-string."""
    if isinstance(node, ast.JoinedStr):
        return text_of(node.values[0]) if node.values else ""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def codes_of_classes() -> dict[str, str]:
    """The code that each class of errors has by itself, from `status, code = 404, "not_found"`."""
    found = {}
    for definition in nodes(ast.ClassDef, "core/errors"):
        assert isinstance(definition, ast.ClassDef)
        for line in definition.body:
            if (
                isinstance(line, ast.Assign)
                and isinstance(line.targets[0], ast.Tuple)
                and isinstance(line.value, ast.Tuple)
            ):
                names = [name.id for name in line.targets[0].elts if isinstance(name, ast.Name)]
                if "code" in names:
                    found[definition.name] = text_of(line.value.elts[names.index("code")])
    return found


def errors_named_by_code() -> set[str]:
    """The classes of errors whose first parameter is `code`."""
    names = {"PydanticCustomError"}
    for definition in nodes(ast.ClassDef):
        assert isinstance(definition, ast.ClassDef)
        for method in definition.body:
            if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                names |= {definition.name for argument in method.args.args[1:2] if argument.arg == "code"}
    return names


def codes_of_calls() -> Iterator[str]:
    own, by_code = codes_of_classes(), errors_named_by_code()
    for call in nodes(ast.Call):
        assert isinstance(call, ast.Call)
        given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
        name = name_of(call.func)
        yield from (text_of(value) for value in given)
        if name in own and not given:
            yield own[name]
        if name in by_code and call.args:
            yield text_of(call.args[0])


def codes_of_rows() -> Iterator[str]:
    docstrings = {line.value for line in nodes(ast.Expr, "ingest/files/") if isinstance(line, ast.Expr)}
    for node in [*nodes(ast.Constant, "ingest/files/"), *nodes(ast.JoinedStr, "ingest/files/")]:
        assert isinstance(node, ast.expr)
        prefix = re.match(r"([a-z]+(?:_[a-z]+)*): ", text_of(node))
        if prefix and node not in docstrings:
            yield prefix[1]


def codes_of_the_framework() -> Iterator[str]:
    for mapping in nodes(ast.Dict, "http/problems"):
        assert isinstance(mapping, ast.Dict)
        if all(isinstance(key, ast.Constant) and isinstance(key.value, int) for key in mapping.keys):
            yield from map(text_of, mapping.values)
    for call in nodes(ast.Call, "http/problems"):
        assert isinstance(call, ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "get" and len(call.args) == 2:
            yield text_of(call.args[1])


def used_codes() -> set[str]:
    found = {*codes_of_calls(), *codes_of_rows(), *codes_of_the_framework()}
    return {code for code in found if CODE.fullmatch(code)}


def assignments(folder: str) -> Iterator[tuple[str, str]]:
    """Names to which a text is assigned, with the text."""
    for line in nodes(ast.Assign, folder):
        assert isinstance(line, ast.Assign)
        yield from ((target.id, text_of(line.value)) for target in line.targets if isinstance(target, ast.Name))


def used_reasons() -> set[str]:
    health = dict(assignments("health/"))["NOT_ENOUGH_DATA"]
    return reasons_in("metrics/") | reasons_in("scorecard/") | reasons_in("health/") | {health}


def reasons_in(folder: str) -> set[str]:
    constants = dict(assignments(folder))
    found = {text for name, text in assignments(folder) if name == "reason"}
    for call in nodes(ast.Call, folder):
        assert isinstance(call, ast.Call)
        for value in (keyword.value for keyword in call.keywords if keyword.arg in ("if_empty", "reason")):
            found.add(constants.get(value.id, "") if isinstance(value, ast.Name) else text_of(value))
    return found - {""}


def test_every_code_that_the_application_uses_is_in_the_reference() -> None:
    assert used_codes() - {entry.code for entry in REFERENCE} == set()


def test_the_reference_has_no_code_that_the_application_does_not_use() -> None:
    assert {entry.code for entry in REFERENCE} - used_codes() == set()


def test_the_usual_codes_of_pydantic_exist() -> None:
    assert {entry.code for entry in codes.PYDANTIC} <= set(get_args(ErrorType))


def test_every_error_of_pydantic_that_has_a_sentence_is_in_the_reference() -> None:
    documented = {entry.code for entry in (*codes.PYDANTIC, *codes.FIELD)}
    assert sentences._SENTENCES.keys() <= documented
    assert {entry.code for entry in codes.PYDANTIC} <= sentences._SENTENCES.keys() | {"value_error"}


def test_a_code_is_once_in_each_table() -> None:
    for table in (codes.REQUEST, codes.EVENT, codes.FIELD, codes.PYDANTIC, codes.IMPORT, codes.COMMAND):
        names = [entry.code for entry in table]
        assert len(names) == len(set(names))


def test_every_reason_is_in_the_reference_and_no_other() -> None:
    assert used_reasons() == codes.REASONS.keys()


def test_every_reason_of_a_back_test_is_in_the_reference_and_no_other() -> None:
    members = BACKTEST_SCHEMA[200]["content"][JSON]["schema"]["properties"]
    descriptions = members["reason"]["description"] + members["left_out"]["properties"]["accounts"]["description"]
    sources = "".join(path.read_text() for path in sorted((APP / "health" / "backtest").glob("*.py")))
    warnings = {*re.findall(r'warnings\["(\w+)"\]', sources)}
    assert {*re.findall(r"`(\w+)`", descriptions)} | warnings == codes.BACKTEST.keys()
    assert {name for name in codes.BACKTEST if f'"{name}"' not in sources} == set()
