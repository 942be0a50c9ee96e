"""What answers about all accounts at once have in common: the memory of a row for each, and the ids of those that are shown."""

from collections.abc import Sequence

from app.core.errors import Invalid
from app.database.connection import Connection
from app.database.pool import Database
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement

# A row of sums for each of so many accounts takes some 300 MB.
MAX_ACCOUNTS = 200_000
# Of the columns of a row, so many take about as much memory as a sum of an answer, see `metrics.answer_size`.
_COLUMNS_PER_SUM = 4
# Up to a limit, so that it takes no time where there are many.
COUNT_ACCOUNTS = Statement("SELECT count(*) FROM (SELECT FROM account LIMIT %(limit)s) AS own")
_IDS = Statement(
    "SELECT account_id, id FROM account WHERE account_id = ANY(CAST(%(accounts)s AS bigint[]))",
    array_formats={"accounts": str},
)


async def reserve_account_rows(
    connection: Connection, database: Database, *, columns: int, pointer: str, advice: str
) -> None:
    """Wait until a row of so many columns for every account may take its memory.

    Raises Invalid, for the parameter at `pointer`, when there are too many accounts. advice: a sentence, what to ask instead.
    """
    (rows,) = await connection.fetch_batch(BoundStatement(COUNT_ACCOUNTS, {"limit": MAX_ACCOUNTS + 1}))
    ((count,),) = rows
    if count > MAX_ACCOUNTS:
        raise Invalid.at(pointer, f"There are more than {MAX_ACCOUNTS:,} accounts. {advice}", code="too_many_rows")
    await database.reserve_memory(columns * count // _COLUMNS_PER_SUM)


def load_ids(accounts: Sequence[int]) -> QueryPlan[dict[int, str]]:
    """Return the ids of accounts by key."""
    (rows,) = yield [BoundStatement(_IDS, {"accounts": accounts})]
    return dict(rows)
