"""The commands about deliveries from other systems: `csmetrics sources --help`."""

from collections.abc import Sequence
from typing import Annotated, Any, get_args

import typer
from rich.table import Column, Table

from app.books.books import Books
from app.cli.console import out
from app.cli.open import with_books
from app.inbound.deliveries import MAX_PAGE, REPLAYABLE, Status, list_deliveries
from app.inbound.replay import replay, replay_all
from app.inbound.sources import list_sources, load_source

cli = typer.Typer()
sources_cli = typer.Typer(help="List sources and their deliveries, and replay deliveries.", no_args_is_help=True)
cli.add_typer(sources_cli, name="sources")

_STATUSES = get_args(Status)
_SHOWN_REASONS = 3

SourceArgument = Annotated[str, typer.Argument(help="Name of the source, as `csmetrics sources list` shows it.")]
StatusOption = Annotated[
    str | None, typer.Option(metavar="|".join(_STATUSES), help="Only deliveries with this status. Default: all.")
]


@sources_cli.command("list")
def print_sources() -> None:
    """List the sources, with the number of their kept deliveries by status (secrets are never shown)."""

    async def run(books: Books) -> None:
        table = Table(Column("id", no_wrap=True), "vendor", "secrets", *_STATUSES)
        for source, counts in await list_sources(books):
            numbers = (str(counts.get(status, 0)) for status in _STATUSES)
            table.add_row(source.id, source.vendor.name, str(len(source.secrets)), *numbers)
        out.print(table)

    with_books(run)


@sources_cli.command("deliveries")
def print_deliveries(
    source: SourceArgument,
    status: StatusOption = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many, the latest first.")] = 20,
) -> None:
    """List the kept deliveries of a source, the latest first, with what became of them and why."""
    own_status = _check_status(status, _STATUSES)

    async def run(books: Books) -> None:
        await load_source(books, source)
        rows, next_page = await list_deliveries(books, source, status=own_status, limit=limit, cursor=None)
        for row in rows:
            # Not a table: the id of a delivery may be as wide as the window, and is needed whole.
            counts = f"attempts: {row.attempts}, events: {len(row.event_ids)}"
            lines = [row.id, f"    {row.received_at:%Y-%m-%d %H:%M:%S}, {row.status}, {counts}"]
            lines += [f"    {reasons}"] if (reasons := _describe_reasons(row.reasons)) else []
            out.print("\n".join(lines), markup=False)
        if next_page is not None:
            out.print("There are more: see --limit.")

    with_books(run)


def _check_status(status: str | None, statuses: Sequence[str]) -> Any:
    if status is not None and status not in statuses:
        raise typer.BadParameter(f"it must be one of: {', '.join(statuses)}.", param_hint="--status")
    return status


def _describe_reasons(reasons: Sequence[dict[str, Any]]) -> str:
    details = [own["detail"] for own in reasons[:_SHOWN_REASONS]]
    more = len(reasons) - len(details)
    return " ".join(details) + (f" ({more} more)" if more > 0 else "")


@sources_cli.command("replay")
def replay_deliveries(
    source: SourceArgument,
    delivery: Annotated[str | None, typer.Option(help="Only the delivery with this id.")] = None,
    status: Annotated[
        str, typer.Option(metavar="|".join(REPLAYABLE), help="Only deliveries with this status.")
    ] = "rejected",
) -> None:
    """Translate kept deliveries of a source again, by its current mapping. What is stored already is a duplicate."""
    own_status = _check_status(status, REPLAYABLE)

    async def run(books: Books) -> None:
        own_source = await load_source(books, source)
        if delivery is None:
            counts = await replay_all(books, own_source, status=own_status)
            out.print(", ".join(f"{name}: {count}" for name, count in counts.items()))
            return
        result = (await replay(books, own_source, delivery)).result
        out.print(f"{result.status}. {_describe_reasons(result.reasons)}".strip(), markup=False)

    with_books(run)
