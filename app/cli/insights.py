"""The command that says what needs attention: `csmetrics insights`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from app.books.books import Books
from app.cli.console import out
from app.cli.open import with_books
from app.cli.output import Fields, OutputFile, choose_output, split_fields, write_answer
from app.http.formats import FORMATS
from app.http.tables import Row
from app.insights.answers import InsightParameters, list_insights
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
Output = Annotated[
    str | None, typer.Option(metavar="|".join(_OUTPUT_FORMATS), help="Output format. Default: by the file, else text.")
]


@cli.command()
def insights(
    as_of: AsOf = None,
    severity: SeverityOption = None,
    detector: DetectorOption = None,
    format: Output = None,
    output: OutputFile = None,
    fields: Fields = None,
) -> None:
    """Print what needs attention, as `GET /v1/insights` answers it."""
    chosen = choose_output(format, output, default="text", more=["text"])
    options = {"as_of": as_of, "severity": severity, "detector": detector, "limit": 1_000}
    parameters = InsightParameters.model_validate({name: value for name, value in options.items() if value is not None})

    async def run(books: Books) -> None:
        answer = await list_insights(books, parameters)
        if chosen == "text":
            _print_insights([*answer.rows])
        else:
            await write_answer(chosen, answer, fields=split_fields(fields), output=output)

    with_books(run)


def _print_insights(rows: Sequence[Row]) -> None:
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
