"""The command that says what needs attention: `csmetrics insights`."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from app.books.books import Books
from app.cli.console import out
from app.cli.open import with_books
from app.http.formats import FORMATS
from app.insights.answers import InsightParameters, insights_table, list_insights
from app.insights.define import SEVERITIES

cli = typer.Typer()

_OUTPUT_FORMATS = ("text", *FORMATS)
_COLORS = {"critical": "red", "warning": "yellow", "notice": "blue"}

AsOf = Annotated[str | None, typer.Option(help="What needed attention at the end of this day (YYYY-MM-DD).")]
SeverityOption = Annotated[
    list[str] | None,
    typer.Option(metavar="|".join(SEVERITIES), help="Only insights of this severity. Can be repeated."),
]
DetectorOption = Annotated[list[str] | None, typer.Option(help="Only what this detector finds. Can be repeated.")]
Output = Annotated[str, typer.Option(metavar="|".join(_OUTPUT_FORMATS), help="Output format.")]


@cli.command()
def insights(
    as_of: AsOf = None, severity: SeverityOption = None, detector: DetectorOption = None, format: Output = "text"
) -> None:
    """Print what needs attention, as `GET /v1/insights` answers it."""
    if format not in _OUTPUT_FORMATS:
        raise typer.BadParameter(f"it must be one of: {', '.join(_OUTPUT_FORMATS)}.", param_hint="--format")
    options = {"as_of": as_of, "severity": severity, "detector": detector, "limit": 1_000}
    parameters = InsightParameters.model_validate({name: value for name, value in options.items() if value is not None})

    async def run(books: Books) -> None:
        body = await list_insights(books, parameters)
        if format == "text":
            _print_insights(body["rows"])
        else:
            sys.stdout.write(
                FORMATS[format].write(body, lambda: insights_table(body["rows"])).decode().rstrip("\n") + "\n"
            )

    with_books(run)


def _print_insights(rows: Sequence[dict[str, Any]]) -> None:
    """Print each insight for people: severity and title, the sentence, the first accounts, and what to do next."""
    if not rows:
        out.print("Nothing needs attention.")
    for row in rows:
        out.print(f"{row['severity'].upper()}  {row['title']}", style=_COLORS[row["severity"]], markup=False)
        accounts = "; ".join(f"{own['account']} ({own['detail']})" for own in row["accounts"]["first"])
        more = row["accounts"]["count"] - len(row["accounts"]["first"])
        lines = [row["sentence"], accounts + (f"; {more} more" if more else ""), row["advice"]]
        for line in filter(None, lines):
            out.print(f"  {line}", markup=False)
