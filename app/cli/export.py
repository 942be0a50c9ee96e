"""The command that writes whole tables to files: `csmetrics export`."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from app.accounts.answers import answer_accounts
from app.books.books import Books
from app.cli.console import err
from app.cli.open import with_books
from app.cli.output import Fields, OutputFile, choose_output, split_fields, write_answer
from app.feedback.comments import MAX_COMMENTS, CommentFilter, answer_comments
from app.health.listing import HealthParameters, list_health
from app.http.formats import FORMATS
from app.http.tables import Answer
from app.scorecard.scorecard import ScorecardParameters, scorecard

cli = typer.Typer()


async def _export_accounts(books: Books) -> Answer:
    return await answer_accounts(books)


async def _export_feedback(books: Books) -> Answer:
    return await answer_comments(books, CommentFilter(), limit=MAX_COMMENTS, after=None)


async def _export_health(books: Books) -> Answer:
    return await list_health(books, HealthParameters(format="csv", accounts="all"))


async def _export_scorecard(books: Books) -> Answer:
    return await scorecard(books, ScorecardParameters(format="csv"))


# What can be exported. Numbers are: `csmetrics query`.
_TABLES: dict[str, Callable[[Books], Awaitable[Answer]]] = {
    "accounts": _export_accounts,
    "feedback": _export_feedback,
    "health": _export_health,
    "scorecard": _export_scorecard,
}


@cli.command()
def export(
    table: Annotated[str, typer.Argument(metavar="|".join(_TABLES), help="What to export.")],
    format: Annotated[
        str | None, typer.Option(metavar="|".join(FORMATS), help="Output format. Default: by the file, else csv.")
    ] = None,
    output: OutputFile = None,
    fields: Fields = None,
) -> None:
    """Write all accounts, comments, health scores or targets to a file. `csmetrics query` does so with numbers.

    The columns are those of `GET /v1/accounts`, `/v1/feedback`, `/v1/health` and `/v1/scorecard`.
    """
    if table not in _TABLES:
        raise typer.BadParameter(f"it must be one of: {', '.join(_TABLES)}.", param_hint="TABLE")
    chosen = choose_output(format, output, default="csv")

    async def run(books: Books) -> None:
        answer = await _TABLES[table](books)
        await write_answer(chosen, answer, fields=split_fields(fields), output=output)

    with_books(run)
    if output is not None:
        err.print(f"Written to {output}.", style="dim", markup=False)
