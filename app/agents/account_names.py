"""The names of accounts, which a person knows better than their ids."""

from collections.abc import Iterable

from app.accounts.cards import load_cards_by_id
from app.agents.phrases import shorten
from app.books.books import Books
from app.database.query_plan import run_plan


async def load_names(books: Books, ids: Iterable[str | None]) -> dict[str | None, str]:
    """Return the names that accounts have today, by their ids; those without a name are left out."""
    today = books.today()
    known_ids = {id for id in ids if id}
    if not known_ids:
        return {}
    cards = await books.database.ask(lambda connection: run_plan(connection, load_cards_by_id(known_ids, today=today)))
    return {id: shorten(str(card["name"])) for id, card in cards.items() if card["name"] is not None}
