"""The command line of the bench."""

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
from bench import asking, catalogue, ingest, load, peers, profile, report
from bench.data import END, Size, tables
from bench.processes import Postgres, postgres, service

HERE = Path(__file__).parent
DEFAULT_SIZES = (Size(1_000_000), Size(10_000_000), Size(1_000_000, accounts=10))
_SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")

console = Console(stderr=True, highlight=False, soft_wrap=True)
cli = typer.Typer(help="Measure the service beside PostgreSQL and DuckDB.", pretty_exceptions_enable=False)


class Part(StrEnum):
    ingest = "ingest"
    questions = "questions"


class Way(StrEnum):
    http = "http"
    copy = "copy"


def say(line: str) -> None:
    console.print(f"{datetime.now():%H:%M:%S} {line}", markup=False)


@cli.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    size: Annotated[list[str], typer.Option(help="Rows of usage, such as 20k or 1m; repeatable. Default: all.")] = [],  # noqa: B006
    accounts: Annotated[int, typer.Option(help="How many times 2,000 accounts; with --size.")] = 1,
    only: Annotated[Part | None, typer.Option(help="Measure only this.")] = None,
    way: Annotated[
        Way | None, typer.Option("--load", help="How usage gets into the service; default: http up to 2m, then copy.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Load anew what these sizes need.")] = False,
    stale: Annotated[bool, typer.Option(help="Use what is loaded, though code that writes has changed since.")] = False,
    rounds: Annotated[int, typer.Option(help="Rounds of ingest.", min=1)] = 3,
    times: Annotated[int, typer.Option(help="Runs of each question.", min=1)] = 30,
    share: Annotated[float, typer.Option(help="Share of the usual events of ingest.", min=0.01, max=1)] = 1,
    profiled: Annotated[bool, typer.Option("--profile", help="Explain the slowest question.")] = False,
    cache: Annotated[Path, typer.Option(help="Where data and databases are kept.")] = HERE / ".cache",
    results: Annotated[Path, typer.Option(help="Where results go.")] = HERE / "results",
) -> None:
    """Measure: what is taken in, and ten questions. Exit code 1 when an answer is not the same as that of plain SQL."""
    if context.invoked_subcommand:
        return
    if date.today() <= END.astype(date).date():
        raise typer.BadParameter(f"The data ends on {END}, and the service takes nothing from the future.")
    try:
        sizes = [Size.parse(text, accounts=accounts) for text in size] or DEFAULT_SIZES
        with postgres(cache.resolve() / "server") as server:
            if fresh:
                for name in {name for one in sizes for name in load.databases(one)}:
                    server.drop(name)
            wrong = False
            for one in sizes:
                result: dict[str, Any] = {"name": one.name}
                if only is not Part.questions:
                    found = _ingest(server, one, cache, rounds=rounds, share=share, stale=stale)
                    result["ingest"] = _measured(server) | found
                if only is not Part.ingest:
                    chosen = way or (Way.http if one.usage <= load.MOST_OVER_HTTP else Way.copy)
                    found = _questions(server, one, cache, way=chosen, stale=stale, times=times)
                    result["questions"] = _measured(server) | found
                    wrong |= any(asking.is_wrong(question) for question in found["questions"])
                result["data"] = _rows(one, cache)
                page = report.keep(results, result)
                console.print(f"\n{page.read_text()}", markup=False)
                if profiled and "questions" in result:
                    _profile(server, one, result["questions"]["questions"], folder=cache)
    except (ValueError, EmbeddedError) as error:
        raise typer.BadParameter(str(error)) from error
    report.compare(results)
    raise typer.Exit(int(wrong))


@cli.command()
def compare(results: Annotated[Path, typer.Option(help="Where results are.")] = HERE / "results") -> None:
    """Lay the results of all sizes side by side."""
    typer.echo(report.compare(results).read_text())


def _rows(size: Size, cache: Path) -> dict[str, int]:
    return {name: table.num_rows for name, table in tables(size, folder=cache / "data")[0].items()}


def _measured(server: Postgres) -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "measured_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(memory),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
            "duckdb": duckdb.__version__,
            "postgres": server.show(*_SHOWN),
        },
    }


def _ingest(server: Postgres, size: Size, cache: Path, *, rounds: int, share: float, stale: bool) -> dict[str, Any]:
    # So many events have to be there; usage of a smaller size would run out.
    enough = Size(max(size.usage, 1_000_000), size.accounts)
    say(f"Ingest of {enough.name}")
    content, _ = tables(enough, folder=cache / "data")
    template = load.books(server, size, content, stale=stale, say=say)
    return ingest.measure(server, template, content, rounds=rounds, share=share, say=say)


def _questions(server: Postgres, size: Size, cache: Path, *, way: Way, stale: bool, times: int) -> dict[str, Any]:
    say(f"Questions at {size.name}")
    content, folder = tables(size, folder=cache / "data")
    name, loaded = load.loaded(server, size, content, folder, way=way.value, stale=stale, say=say)
    raw = peers.raw_tables(server, size, content, folder, say=say)
    with service(server.database(name), log=cache / "service.log") as running:
        found = {"load": loaded} | asking.measure(running, server, raw, folder, times=times, say=say)
        return found | {"catalogue": catalogue.measure(running, times=times, say=say)}


def _profile(server: Postgres, size: Size, found: list[dict[str, Any]], *, folder: Path) -> None:
    answered = [question for question in found if "service" in question]
    if not answered:
        return
    slowest = max(answered, key=lambda question: question["service"]["p50"])
    plans = folder / f"{size.name}-{slowest['name']}.plan.txt"
    plans.write_text(profile.explained(server, f"service-{size.name}", slowest["path"]))
    say(f"The plans of {slowest['name']} are in {plans}.")


if __name__ == "__main__":
    cli()
