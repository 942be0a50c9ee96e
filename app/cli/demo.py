"""The command `csmetrics demo`."""

from datetime import date

import typer

from app.access.keys import replace_key
from app.books.books import Books
from app.cli.console import err, out, progress_bar
from app.cli.open import with_books
from app.cli.page import create_link
from app.core.errors import Conflict
from app.core.settings import Settings
from app.demo.load import load_demo

cli = typer.Typer()


@cli.command()
def demo() -> None:
    """Load demo data, a made-up company with 24 months of history, and print an API key and three requests to try.

    The database must be empty, or contain demo data that was loaded this month. Events since the last run are then added.

    The key has scope admin and replaces the key of the last run.
    """

    async def load(books: Books) -> None:
        with progress_bar() as bar:
            task = bar.add_task("Demo company", total=None, status="")

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, status=f"{done:,} of {total:,} events")

            try:
                count = await load_demo(books, progress=show)
                err.print(f"{count:,} events are new.")
            except Conflict as conflict:
                err.print(str(conflict), markup=False)
        key = await replace_key(books, name="demo", scopes=["admin"])
        _print_examples(key, today=books.today())
        out.print(
            f"\nThe page, once, within ten minutes: {await create_link(books, Settings(), is_admin=True)}", markup=False
        )

    with_books(load, create=True)


def _print_examples(key: str, *, today: date) -> None:
    """Print the key and three requests with it."""
    settings = Settings()
    url = settings.public_url or f"http://{settings.host}:{settings.port}"
    event = (
        f'{{"id": "try-{today}", "type": "survey.responded", "account_id": "demo-0001", '
        f'"occurred_at": "{today}T00:00:00Z", "data": {{"survey": "nps", "score": 9, "comment": "Fast help."}}}}'
    )
    out.print(f"Key (scope admin, until the next `csmetrics demo`): {key}\n", markup=False)
    for line in (
        f"curl -s -H 'Authorization: Bearer {key}' '{url}/v1/metrics/nps?period=last_4_quarters&granularity=quarter'",
        f"curl -s -H 'Authorization: Bearer {key}' '{url}/v1/query?metrics=csat,sessions&group_by=plan&format=csv'",
        f"curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' '{url}/v1/events' -d '{event}'",
    ):
        out.print(line, markup=False)
