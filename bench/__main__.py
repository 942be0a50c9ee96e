"""The command line of the benchmark."""

import os
import platform
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console

from app.embedded.cluster import EmbeddedError
from bench import databases, explain, report, run_ingest, run_metrics, run_questions, sql_engines
from bench.dataset import END, Size, load_tables
from bench.processes import Postgres, run_postgres, run_service

HERE = Path(__file__).parent
DEFAULT_SIZES = (Size(1_000_000), Size(10_000_000), Size(1_000_000, accounts=10))
# Settings of PostgreSQL that the results name.
_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")

console = Console(stderr=True, highlight=False, soft_wrap=True)
cli = typer.Typer(help="Measure the service beside PostgreSQL and DuckDB.", pretty_exceptions_enable=False)

ResultsFolder = Annotated[Path, typer.Option(help="Folder of the results as pages.")]
CacheFolder = Annotated[Path, typer.Option(help="Folder of data, databases and results as JSON.")]


class Part(StrEnum):
    ingest = "ingest"
    questions = "questions"


class Way(StrEnum):
    http = "http"
    copy = "copy"


def log(line: str) -> None:
    console.print(f"{datetime.now():%H:%M:%S} {line}", markup=False)


@cli.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    size: Annotated[list[str], typer.Option(help="Rows of usage, such as 20k or 1m; repeatable. Default: all.")] = [],  # noqa: B006
    accounts: Annotated[int, typer.Option(help="How many times 2,000 accounts; with --size.")] = 1,
    only: Annotated[Part | None, typer.Option(help="Measure only this.")] = None,
    way: Annotated[
        Way | None, typer.Option("--load", help="How usage is loaded; default: http up to 2m, then copy.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Load the databases of these sizes again.")] = False,
    stale: Annotated[bool, typer.Option(help="Use loaded databases although code that writes has changed.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds of ingest.", min=1)] = 3,
    times: Annotated[int, typer.Option(help="Runs of each question.", min=1)] = 30,
    share: Annotated[float, typer.Option(help="Share of the usual events of ingest.", min=0.01, max=1)] = 1,
    explain_slowest: Annotated[
        bool, typer.Option("--explain", help="Write the plans of the slowest question.")
    ] = False,
    cache: CacheFolder = HERE / ".cache",
    results: ResultsFolder = HERE / "results",
) -> None:
    """Measure ingest and ten questions. Exits with 1 when an answer differs from that of plain SQL."""
    if context.invoked_subcommand:
        return
    if date.today() <= END.astype(date).date():
        raise typer.BadParameter(f"The data ends on {END}, and the service accepts nothing from the future.")
    is_wrong = False
    try:
        sizes = [Size.parse(text, accounts=accounts) for text in size] or DEFAULT_SIZES
        with run_postgres(cache.resolve() / "server") as server:
            if fresh:
                for name in {name for chosen in sizes for name in databases.database_names(chosen)}:
                    server.drop(name)
            for chosen in sizes:
                result: dict[str, Any] = {"name": chosen.name}
                if only is not Part.questions:
                    result["ingest"] = _measure_ingest(server, chosen, cache, rounds=rounds, share=share, stale=stale)
                if only is not Part.ingest:
                    usual = Way.http if chosen.usage <= databases.MAX_OVER_HTTP else Way.copy
                    section = _measure_questions(server, chosen, cache, way=way or usual, stale=stale, times=times)
                    result["questions"] = section
                    is_wrong |= any(run_questions.is_wrong(question) for question in section["questions"])
                    if explain_slowest:
                        _explain_slowest(server, chosen, section["questions"], folder=cache)
                result["data"] = _count_rows(chosen, cache)
                page = report.write_page(cache / "results", results, result)
                console.print(f"\n{page.read_text()}", markup=False)
    except (ValueError, EmbeddedError) as error:
        raise typer.BadParameter(str(error)) from error
    report.write_comparison(cache / "results", results)
    raise typer.Exit(int(is_wrong))


@cli.command()
def compare(cache: CacheFolder = HERE / ".cache", results: ResultsFolder = HERE / "results") -> None:
    """Write the page that compares the results of all sizes."""
    typer.echo(report.write_comparison(cache / "results", results).read_text())


def _count_rows(size: Size, cache: Path) -> dict[str, int]:
    return {name: table.num_rows for name, table in load_tables(size, folder=cache / "data")[0].items()}


def _describe_machine(server: Postgres) -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "measured_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(memory),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
            "duckdb": duckdb.__version__,
            "postgres": server.show(*_SETTINGS),
        },
    }


def _measure_ingest(
    server: Postgres, size: Size, cache: Path, *, rounds: int, share: float, stale: bool
) -> dict[str, Any]:
    # A smaller size would have too few events.
    enough = Size(max(size.usage, 1_000_000), size.accounts)
    log(f"Ingest of {enough.name}")
    content, _ = load_tables(enough, folder=cache / "data")
    template = databases.load_template(server, size, content, stale=stale, log=log)
    machine = _describe_machine(server)
    return machine | run_ingest.measure(server, template, content, rounds=rounds, share=share, log=log)


def _measure_questions(
    server: Postgres, size: Size, cache: Path, *, way: Way, stale: bool, times: int
) -> dict[str, Any]:
    log(f"Questions at {size.name}")
    content, folder = load_tables(size, folder=cache / "data")
    name, facts = databases.load_service_database(server, size, content, folder, way=way.value, stale=stale, log=log)
    raw_database = sql_engines.load_raw_tables(server, size, content, folder, log=log)
    machine = _describe_machine(server)
    with run_service(server.database(name), log=cache / "service.log") as service:
        measured = run_questions.measure(service, server, raw_database, folder, times=times, log=log)
        catalogue = run_metrics.measure(service, times=times, log=log)
    return machine | {"load": facts} | measured | {"catalogue": catalogue}


def _explain_slowest(server: Postgres, size: Size, questions: list[dict[str, Any]], *, folder: Path) -> None:
    answered = [question for question in questions if "service" in question]
    if not answered:
        return
    slowest = max(answered, key=lambda question: question["service"]["p50"])
    plans = folder / f"{size.name}-{slowest['name']}.plan.txt"
    plans.write_text(explain.explain_request(server, f"service-{size.name}", slowest["path"]))
    log(f"The plans of {slowest['name']} are in {plans}.")


if __name__ == "__main__":
    cli()
