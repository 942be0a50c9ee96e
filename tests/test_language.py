"""Plain language: what can be checked of `docs/glossary.md` and of the language of the code.

Every test lists all violations as `file:line: …`, so that they can be fixed in one go.
"""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from app.database.tables import metadata

ROOT = Path(__file__).parent.parent
APP = ROOT / "app"
MODULES = sorted(APP.rglob("*.py"))
TEST_MODULES = sorted((ROOT / "tests").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Participles, pronouns, adverbs and words of several meanings, which say nothing as the name of a thing.
BARE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        answered asked asking asks began begun behind cut each ended found gave given gives happened happening here kept
        known knows made many meant most named none one ones others our ours place places put said says seen shown some
        something spelled stands taken takes tell tells that their them then there these they thing things this those
        together told took wanted written
        """,
    )
)

# Columns of tables, in which such a word is what the column says of its row.
COLUMNS = {"answered", "put_at"}

# Regular participles that are the plain name of a field or of a number; everything else needs its noun.
PARTICIPLES = frozenset(
    re.findall(
        r"\w+",
        """
        accepted added answered clipped compared computed consumed converted disconnected divided earned elapsed
        embedded expected gained ignored joined reached registered rejected removed requested required skipped started stored
        subtracted unallocated used
        """,
    )
)
NOT_PARTICIPLES = frozenset({"feed", "need", "seed", "speed"})

# Metaphors, and the terms that the field has for what they mean.
METAPHORS = {
    r"houses?": "application, system",
    r"rooms?": "package",
    r"doors?": "endpoint",
    r"rivers?": "flow of data",
    r"refusals?": "error, rejection",
    r"mends?|mended|mending": "fix, correct, restart",
}
# Uses of these words that are normal English.
NORMAL_USES = re.compile(r"in-house|meeting rooms?", re.IGNORECASE)


def location(path: Path, line: int, text: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {text}"


def report(violations: list[str]) -> str:
    return "\n".join([f"{len(violations)} violations", *violations])


def names_in(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the kind and the name of everything that a module names itself."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef():
                yield node.lineno, "class", node.name
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.lineno, "function", node.name
            case ast.arg():
                yield node.lineno, "parameter", node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, "name", node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, "attribute", node.attr
            case ast.alias(asname=str(name)):
                yield getattr(node, "lineno", 0), "import", name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, "name", name


def test_no_name_is_a_bare_participle_or_pronoun() -> None:
    violations = [
        location(path, line, f"{kind} {name}")
        for path in MODULES
        for line, kind, name in sorted(set(names_in(ast.parse(path.read_text(encoding="utf-8")))))
        if name.strip("_").lower() in BARE_WORDS - COLUMNS
    ]
    assert violations == [], report(violations)


def test_a_regular_participle_comes_with_its_noun() -> None:
    """Constants are spared: those of the event types are the verbs of their names."""
    violations = [
        location(path, line, f"{kind} {name}")
        for path in MODULES
        for line, kind, name in sorted(set(names_in(ast.parse(path.read_text(encoding="utf-8")))))
        if re.fullmatch(r"_?[a-z]+ed", name) and name.strip("_") not in PARTICIPLES | NOT_PARTICIPLES
    ]
    assert violations == [], report(violations)


def test_no_class_name_occurs_twice() -> None:
    classes: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("__"):
                classes[node.name.strip("_")].append(location(path, node.lineno, f"class {node.name}"))
    violations = [line for places in classes.values() if len(places) > 1 for line in places]
    assert violations == [], report(violations)


def prose_of_module(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of comments and texts of a module, without what stands in backquotes."""
    reader = io.StringIO(path.read_text(encoding="utf-8")).readline
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(reader):
        if token.type in kinds:
            for number, line in enumerate(token.string.splitlines()):
                yield token.start[0] + number, without_code(line)


def prose_of_page(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page, without code blocks, and without what stands in backquotes or in quotes."""
    is_code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, re.sub(r'"[^"]*"', "", without_code(line))


def without_code(line: str) -> str:
    return re.sub(r"`[^`]*`", "", line)


def test_prose_has_no_metaphors() -> None:
    lines = [(path, number, line) for path in MODULES for number, line in prose_of_module(path)]
    lines += [(path, number, line) for path in PAGES for number, line in prose_of_page(path)]
    violations = [
        location(path, number, f"{match[0]!r}: {better}")
        for path, number, line in lines
        for word, better in METAPHORS.items()
        for match in re.finditer(rf"\b(?:{word})\b", NORMAL_USES.sub("", line), re.IGNORECASE)
    ]
    assert violations == [], report(violations)


def test_no_sentence_leaves_out_who_tells_or_says() -> None:
    """`X is told` and `Y is said` hide who does what: the log has a line, the error names, the answer lists."""
    kind = r"(?:is|are|was|were|be|been|being)(?: not| never| also| only)? (?:told|said)|(?:tells?|told|heard) of"
    lines = [(path, number, line) for path in (*MODULES, *TEST_MODULES) for number, line in prose_of_module(path)]
    lines += [(path, number, line) for path in PAGES for number, line in prose_of_page(path)]
    violations = [
        location(path, number, match[0])
        for path, number, line in lines
        if (match := re.search(rf"\b(?:{kind})\b", line, re.IGNORECASE))
    ]
    assert violations == [], report(violations)


def test_names_in_code_do_not_use_metaphors() -> None:
    words = re.compile("|".join(f"(?:{word})" for word in METAPHORS))
    violations = [
        location(path, line, f"{kind} {name}")
        for path in MODULES
        for line, kind, name in sorted(set(names_in(ast.parse(path.read_text(encoding="utf-8")))))
        if any(words.fullmatch(part) for part in re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))
    ]
    assert violations == [], report(violations)


def test_names_of_tables_and_columns_have_no_irregular_participle() -> None:
    """A regular one may say which: `reported_periods`. What `told_day` holds, nobody knows."""
    names = [(table.name, "") for table in metadata.tables.values()]
    names += [(table.name, column.name) for table in metadata.tables.values() for column in table.columns]
    violations = [f"{table} {column}" for table, column in names if BARE_WORDS & set((column or table).split("_"))]
    assert [line for line in violations if line.split()[-1] not in COLUMNS] == []
