"""Check the names in a mapping that only the books know: surveys and currencies."""

from collections.abc import Iterator

from app.books.books import Books
from app.core.errors import Invalid
from app.database.connection import Connection
from app.ingest.exchange_rates import load_rates
from app.ingest.files.hints import did_you_mean
from app.ingest.files.mapping import ImportMapping
from app.ingest.files.possible_values import MappingScope, values_of
from app.ledger.surveys import load_surveys


async def check_names(books: Books, mapping: ImportMapping) -> None:
    """Raise Invalid (`bad_mapping`) for constants of the mapping that name a survey or a currency which the books lack."""
    surveys, currencies = set(_constants(mapping, "survey")), set(_constants(mapping, "currency")) - {books.currency}
    if not surveys and not currencies:
        return

    async def load(connection: Connection) -> tuple[list[str], list[str]]:
        return [*await load_surveys(connection)], [*await load_rates(connection)]

    known_surveys, known_currencies = await books.database.read(load)
    details = [
        f'There is no survey "{name}".{did_you_mean(name, known_surveys)} Declare it with PUT /v1/surveys/{{id}}.'
        for name in sorted(surveys.difference(known_surveys))
    ]
    details += [
        f"There is no exchange rate of {name}. Add some with PUT /v1/exchange-rates: the base currency is {books.currency}."
        for name in sorted(currencies.difference(known_currencies))
    ]
    if details:
        raise Invalid("\n".join(details), code="bad_mapping")


def _constants(mapping: ImportMapping, name: str) -> Iterator[str]:
    """Yield the values that a field of event data certainly has in some rows."""
    for source in mapping.source:
        for event in source.event:
            if isinstance(event.data, dict) and isinstance(text := event.data.get(name), str):
                groups = values_of(MappingScope(mapping, source), text)
                yield from (group[0] for group in groups if len(group) == 1 and isinstance(group[0], str))
