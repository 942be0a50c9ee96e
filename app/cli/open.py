"""Open the books for a command."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

from app.books.books import Books
from app.books.open import describe_database, open_books
from app.cli.console import err
from app.core import logs
from app.core.settings import Settings, misspelt_settings


def with_books(
    work: Callable[[Books], Awaitable[Any]], *, adopt: bool = False, create: bool = False, **settings: Any
) -> Any:
    """Open the books and return the result of `work` on them. Prints which database that is.

    adopt, create: see `open_books`. settings: override those of the environment.
    """
    chosen = Settings(**settings)
    # Commands handle many objects and hardly any cycles: by default, collecting garbage takes up to a third of the time.
    gc.set_threshold(20_000)

    async def run() -> Any:
        async with open_books(chosen, adopt=adopt, create=create) as books:
            return await work(books)

    print_database(chosen)
    return asyncio.run(run())


def print_database(settings: Settings) -> None:
    """Print which database a command uses, and let it print what it waits for."""
    logs.configure_for_people()
    for name, setting in misspelt_settings().items():
        err.print(f"There is no setting {name}. Did you mean {setting}?", style="yellow", markup=False)
    err.print(f"Using {describe_database(settings)}.", style="dim", markup=False)
