"""The commands that answer questions without HTTP: `csmetrics query` and `csmetrics check`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.table import Table

from app.audit.checks import run_checks
from app.books.books import Books
from app.cli.console import err, out
from app.cli.open import with_books
from app.cli.output import Fields, OutputFile, choose_output, write_answer, write_chart
from app.core.periods import GRANULARITIES
from app.http.chart_formats import CHART_FORMATS, DEFAULT_WIDTH, MAX_SIDE, MIN_SIDE
from app.http.formats import FORMATS
from app.http.row_parameters import MAX_ROWS
from app.http.tables import Answer
from app.metrics.answer import answer
from app.metrics.parameters import Parameters, SeveralParameters
from app.metrics.question import resolve_question
from app.metrics.schema import number_columns, question_answer

cli = typer.Typer()

OUTPUT_FORMATS = ("table", *FORMATS, *CHART_FORMATS)
# Columns that a table for people leaves out where the terminal is too narrow, in this order.
_LESS_NEEDED = (
    "start",
    "end",
    "convention",
    "complete",
    "low",
    "high",
    "numerator",
    "denominator",
    "sample_size",
    "amount",
)

Metrics = Annotated[list[str], typer.Argument(help="Names of metrics, such as nrr. Separate several by blanks.")]
Period = Annotated[
    str | None, typer.Option(help="Range by name, such as 2026-Q1 or last_12_months. Default: the last 12 months.")
]
Start = Annotated[str | None, typer.Option(help="First day of the range (YYYY-MM-DD), instead of --period.")]
End = Annotated[str | None, typer.Option(help="Day after the last day of the range (YYYY-MM-DD).")]
Granularity = Annotated[
    str,
    typer.Option(metavar="|".join(GRANULARITIES), help="Length of the periods into which the range is split."),
]
GroupBy = Annotated[
    list[str] | None,
    typer.Option(
        help="Up to three of: an attribute key, account, segment, subject, channel. Separate them by commas, or repeat it."
    ),
]
Account = Annotated[list[str] | None, typer.Option(help="Count only this account. Can be repeated.")]
Segment = Annotated[list[str] | None, typer.Option(help="Count only this stored segment. Can be repeated.")]
Filter = Annotated[
    str | None, typer.Option(help="""Count only accounts that satisfy a condition, such as 'plan = "pro"'.""")
]
Subject = Annotated[list[str] | None, typer.Option(help="Count only this subject. Can be repeated.")]
Channel = Annotated[list[str] | None, typer.Option(help="Count only this channel. Can be repeated.")]
AsOf = Annotated[str | None, typer.Option(help="Answer with what was recorded up to the end of this day (YYYY-MM-DD).")]
Compare = Annotated[
    str | None,
    typer.Option(metavar="previous_period|previous_year", help="Add the value of an earlier period to each row."),
]
Convention = Annotated[str | None, typer.Option(help="Compute metrics by this convention.")]
Strict = Annotated[
    bool, typer.Option(help="Whether attributes, accounts, subjects and channels that were never recorded are errors.")
]
Totals = Annotated[bool, typer.Option("--totals", help="Add a row over the whole range.")]
CompleteOnly = Annotated[bool, typer.Option("--complete-only", help="Leave out periods that have not ended.")]
ChartOption = Annotated[
    str | None, typer.Option(help="Which chart, such as bars. Default: what fits the question best.")
]
Theme = Annotated[str, typer.Option(metavar="light|dark", help="Of a chart: its colors.")]
Width = Annotated[int, typer.Option(min=MIN_SIDE, max=MAX_SIDE, help="Of a chart: its width in pixels.")]
Output = Annotated[
    str | None, typer.Option(metavar="|".join(OUTPUT_FORMATS), help="Output format. Default: by the file, else table.")
]


@cli.command()
def query(
    metrics: Metrics,
    period: Period = None,
    start: Start = None,
    end: End = None,
    granularity: Granularity = "month",
    group_by: GroupBy = None,
    account: Account = None,
    segment: Segment = None,
    filter: Filter = None,
    subject: Subject = None,
    channel: Channel = None,
    as_of: AsOf = None,
    compare: Compare = None,
    convention: Convention = None,
    strict: Strict = True,
    totals: Totals = False,
    complete_only: CompleteOnly = False,
    fields: Fields = None,
    chart: ChartOption = None,
    theme: Theme = "light",
    width: Width = DEFAULT_WIDTH,
    format: Output = None,
    output: OutputFile = None,
) -> None:
    """Print the numbers of metrics, as `GET /v1/query` answers them, or draw them.

    The formats vega, svg and png are charts.
    """
    # The names of the options are those of the parameters.
    options = {
        name: value for name, value in locals().items() if value is not None and name not in ("format", "output")
    }
    chosen = choose_output(format, output, default="table", more=["table"], has_charts=True)
    parameters = SeveralParameters.model_validate(options)

    async def run(books: Books) -> None:
        answer = await _answer_all(books, parameters)
        if chosen == "table":
            _print_table(answer.with_fields(parameters.fields) if parameters.fields else answer)
        elif chosen in CHART_FORMATS:
            body = {**answer.body, "rows": list(answer.rows)}
            await write_chart(replace(answer, body=body), chosen, parameters, currency=books.currency, output=output)
        else:
            await write_answer(chosen, answer, fields=parameters.fields, output=output)

    with_books(run)


async def _answer_all(books: Books, parameters: SeveralParameters) -> Answer:
    """Return the answer of `GET /v1/query` with all its rows."""
    question = await resolve_question(books, parameters.metrics, parameters)
    page = await answer(books, question, limit=MAX_ROWS, cursor=None)
    body: dict[str, Any] = {"question": question.as_json(), "rows": page.rows, "next": None}
    return question_answer("numbers", body, question, after=number_columns(question), row_count=page.row_count)


@cli.command()
def check(
    period: Period = None,
    start: Start = None,
    end: End = None,
    granularity: Granularity = "month",
    accounts: Annotated[
        int, typer.Option(min=1, max=1_000, help="Number of accounts for checks of single accounts.")
    ] = 20,
    all: Annotated[bool, typer.Option("--all", help="Check the ledger of all accounts. This takes long.")] = False,
) -> None:
    """Check that numbers which must be equal are equal, as `GET /v1/checks` does. Exits with 1 if some are not."""
    values = {"period": period, "start": start, "end": end, "granularity": granularity}
    parameters = Parameters.model_validate({name: value for name, value in values.items() if value is not None})

    async def run(books: Books) -> bool:
        result = await run_checks(books, parameters, sample=None if all else accounts)
        for check_result in result["checks"]:
            mark = "ok    " if check_result["ok"] else "FAILED"
            out.print(f"{mark} {check_result['compared']:>9,} compared: {check_result['sentence']}", markup=False)
            for difference in check_result["differences"]:
                out.print(f"       {difference}", markup=False)
        return bool(result["ok"])

    if not with_books(run):
        err.print("Some numbers differ that must be equal.", style="red")
        raise typer.Exit(1)


def _print_table(answer: Answer) -> None:
    """Print a table for people: without the columns that are empty in every row, and as wide as it needs to be.

    On a terminal, as many columns are left out as do not fit.
    """
    rows = [[own.read(row) for own in answer.columns] for row in answer.rows]
    names = [own.name for own in answer.columns]
    columns = [number for number in range(len(names)) if any(row[number] is not None for row in rows)]
    widths = {
        number: max(len(text) for text in (names[number], *(_cell(row[number]) for row in rows))) for number in columns
    }
    if out.is_terminal:
        left_out = _columns_to_leave_out([(names[number], widths[number]) for number in columns], width=out.width)
        columns = [number for number in columns if names[number] not in left_out]
        if left_out:
            err.print(f"Not shown: {', '.join(left_out)}. --format csv has all columns.", style="dim")
    else:
        out.width = _table_width(list(widths.values()))
    grid = Table()
    for number in columns:
        is_number = all(
            isinstance(row[number], int | float | None) and not isinstance(row[number], bool) for row in rows
        )
        grid.add_column(names[number], justify="right" if is_number else "left")
    for row in rows:
        grid.add_row(*(_cell(row[number]) for number in columns))
    out.print(grid)


def _columns_to_leave_out(columns: Sequence[tuple[str, int]], *, width: int) -> list[str]:
    """Return the names of columns without which the others fit. columns: their names and widths."""
    left_out: list[str] = []
    for name in _LESS_NEEDED:
        if _table_width([size for column, size in columns if column not in left_out]) <= width:
            break
        if any(column == name for column, _ in columns):
            left_out.append(name)
    return left_out


def _table_width(widths: Sequence[int]) -> int:
    """Return how wide a table is with its lines."""
    return sum(widths) + 3 * len(widths) + 1


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:,.6f}".rstrip("0").rstrip(".")
        case int():
            return f"{value:,}"
    return str(value)
