"""Run the commands printed in the documentation and compare the service's answers with the answers printed there.

A page is a story: it starts with an empty database on 22 November 2026, and its blocks run from top to bottom.

- An `sh` block of `api …` or `curl …` commands is run; the block after it holds the answers.
- An `sh` block of one `csmetrics import …` command is run; the block after it holds the table that it prints.
- A block with a title (```csv title="usage.csv") is written to a file of that name.
- Other blocks are not run.

In an answer `…` stands for anything. Spaces between the tokens of JSON do not count.
"""

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from app.cli.import_files import describe_result
from app.demo import story
from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping_file import load_mapping
from app.ingest.files.run_import import ImportOptions, run_import
from tests.support.service import ADMIN_KEY, Service
from tests.test_docs import PAGES, ROOT, name_of

TODAY = "2026-11-22"
README = ROOT / "README.md"
BLOCK = re.compile(
    r'^```(?P<language>\w*)(?: title="(?P<title>[\w.-]+)")?\n(?P<text>.*?)^```', re.MULTILINE | re.DOTALL
)
# A word of what a command prints.
WORD = r"[\w.%-]+"
RUN = ("api ", "curl ", "csmetrics import ")
# Pages that have to have examples; others may.
TAUGHT = [
    README,
    *(ROOT / "docs" / name for name in ("tutorial.md", "bi/index.md")),
    *sorted((ROOT / "docs" / "guides").rglob("*.md")),
]


class Block(NamedTuple):
    """A fenced block of a page, with its language and title (empty where it has none)."""

    language: str
    title: str
    text: str


class Example(NamedTuple):
    """Commands that are run one after the other, and the block of their answers."""

    commands: list[str]
    answers: Block


def examples_of(page: Path) -> Iterator[Block | Example]:
    """Yield the files and the examples of a page in their order."""
    blocks = [Block(*match.groups(default="")) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    for block, following in pairwise([*blocks, Block("", "", "")]):
        if block.title:
            yield block
        elif block.language == "sh" and block.text.startswith(RUN):
            yield Example(re.split(r"^(?=api |curl |csmetrics )", block.text, flags=re.MULTILINE)[1:], following)


CURL = ArgumentParser(prog="curl", exit_on_error=False)
CURL.add_argument("address")
CURL.add_argument("-X", dest="method")
CURL.add_argument("-G", dest="get", action="store_true")
CURL.add_argument("-d", "--data-binary", "--data-urlencode", dest="data", action="append", default=[])
CURL.add_argument("-H", dest="headers", action="append", default=[])
CURL.add_argument("-u", dest="user")
CURL.add_argument("-sS", action="store_true")

IMPORT = ArgumentParser(prog="csmetrics import", exit_on_error=False)
IMPORT.add_argument("files", nargs="+")
IMPORT.add_argument("--mapping")
for option in ("--dry-run", "--skip-invalid", "--record-late-today", "--create"):
    IMPORT.add_argument(option, action="store_true")


def call(service: Service, command: str, folder: Path) -> str:
    """Return what the service answers to an `api` or `curl` command; `@name` as data is a file in `folder`."""
    program, *words = shlex.split(command.replace("\\\n", " ").replace("$URL", "").replace("$KEY", ADMIN_KEY))
    options = CURL.parse_args(words)
    headers = dict(header.split(": ", 1) for header in options.headers)
    if program == "api":
        headers["Content-Type"] = "application/json"
    else:
        headers.setdefault("Authorization", "")  # the client of the tests would send the admin key
    auth = tuple(options.user.split(":", 1)) if options.user else None
    if options.get:
        parameters = [tuple(part.split("=", 1)) for part in options.data]
        return service.request("GET", options.address, params=parameters, headers=headers, auth=auth).text
    data = [(folder / part[1:]).read_text("utf-8") if part.startswith("@") else part for part in options.data]
    method = options.method or ("POST" if data else "GET")
    body = "".join(data).encode() or None
    return service.request(method, options.address, content=body, headers=headers, auth=auth).text


def import_files(service: Service, command: str, folder: Path) -> list[str]:
    """Return the words that `csmetrics import FILE… --mapping MAPPING` prints, for files in `folder`."""
    arguments = IMPORT.parse_args(shlex.split(command)[2:])
    options = ImportOptions(arguments.dry_run, arguments.skip_invalid, arguments.record_late_today)
    path = folder / "import-report.csv"
    with ImportReport(path) as report:
        work = run_import(
            service.books,
            [folder / file for file in arguments.files],
            mapping=load_mapping(folder / arguments.mapping),
            report=report,
            progress=lambda _: None,
            options=options,
        )
        result = service.run(work)
    counts = asdict(result.summary)
    text = " ".join([*counts, *map(str, counts.values()), *describe_result(report, path=path, options=options)])
    return re.findall(WORD, f"{text} {result.obstacle}".replace(f"{folder}/", ""))


def compact(text: str, language: str) -> str:
    """Return a text without the spaces that do not count."""
    if language == "json":
        return re.sub(r'("(?:[^"\\]|\\.)*")|\s+', r"\1", text)
    return "\n".join(line for line in text.splitlines() if line)


def matches(printed: Block, answer: str) -> bool:
    """Return whether an answer is the one that a page prints."""
    text, answer = (compact(text, printed.language) for text in (printed.text, answer))
    return re.fullmatch(".*?".join(map(re.escape, text.split("…"))), answer, re.DOTALL) is not None


def load_part_of_demo(service: Service) -> None:
    """Load what the README asks about: the NPS answers of the demo company, and its worst account. All would take too long."""
    today = service.now.date()
    for rates in story.exchange_rates(today=today):
        service.put("/v1/exchange-rates", rates)
    demo = story.events(today=today)
    service.send(*(e for e in demo if e.get("account_id") == "demo-0003" or e["data"].get("survey") == "nps"))
    # No account has the attributes of the others.
    for name, filter in story.segments().items():
        service.put(f"/v1/segments/{name}?strict=false", {"filter": filter})
    for model in story.health_models(today=today):
        service.put("/v1/health-model", {"effective_from": str(model.recorded_on), **model.document})


PAGES_WITH_EXAMPLES = [page for page in PAGES if any(isinstance(part, Example) for part in examples_of(page))]


@pytest.mark.usefixtures("example_host")
@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES, ids=name_of)
def test_the_service_answers_what_the_page_prints(page: Path, service: Service, tmp_path: Path) -> None:
    service.on(TODAY)
    if page == README:
        load_part_of_demo(service)
    for part in examples_of(page):
        if isinstance(part, Block):
            (tmp_path / part.title).write_text(part.text, encoding="utf-8")
        elif part.commands[0].startswith("csmetrics"):
            assert re.findall(WORD, part.answers.text) == import_files(service, part.commands[0], tmp_path)
        else:
            answer = "\n".join(call(service, command, tmp_path) for command in part.commands)
            assert matches(part.answers, answer), f"{''.join(part.commands)}{answer}"


def test_the_readme_the_tutorial_and_every_guide_have_examples() -> None:
    assert [name_of(page) for page in TAUGHT if page not in PAGES_WITH_EXAMPLES] == []
