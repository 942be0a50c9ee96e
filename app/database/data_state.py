"""The state of the data: what is another one after every transaction that has changed what is answered.

Every transaction that changes an answer writes a random number, its nonce, into one of a few rows, right before it commits. The
state is the combination of all of them. So two equal states mean that no such transaction has been committed in between, in
whatever order they committed; and as no number comes twice, a state that is over never comes back. See decision 23.

The same statement notes which measures and accounts the transaction has changed, for those who ask what has changed.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import sqlalchemy as sa
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, SmallInteger, Table, Text

from app.database.metadata import metadata
from app.database.statements import BoundStatement, Statement

# Something has changed that is in no measure, or that concerns all of them.
ANYTHING = "*"
# For how many days it is known what each transaction has changed.
CHANGE_DAYS = 3
# Of a transaction; one with more of them has changed all accounts.
_MAX_ACCOUNTS = 1_000

# Several rows, so that two transactions hardly ever wait for each other to commit.
data_state = Table(
    "data_state",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("nonce", BigInteger, nullable=False, comment="A random number of the last transaction that has written it."),
)

data_change = Table(
    "data_change",
    metadata,
    Column("transaction", BigInteger, primary_key=True, autoincrement=False, comment="Its id in this server."),
    Column("committed_at", DateTime(timezone=True), nullable=False, comment="When it was about to commit."),
    Column("measures", ARRAY(Text), nullable=False, comment="With * if any metric may have changed."),
    Column("account_ids", ARRAY(BigInteger), comment="Null: any account may have changed."),
    # For those that are older than is kept.
    Index(None, "committed_at"),
)

# The server's start is part of the state: one that takes its place, or that has lost its last transactions, has another.
STATE = """concat_ws('/', (SELECT bit_xor(nonce) FROM data_state), (SELECT count(*) FROM data_state),
    extract(epoch FROM pg_postmaster_start_time()))"""


@dataclass(slots=True)
class DataChanges:
    """What a transaction has changed so far. account_ids: None when any account may have changed."""

    measures: set[str] = field(default_factory=set)
    account_ids: set[int] | None = field(default_factory=set)

    def add(self, measures: Iterable[str], account_ids: Iterable[int]) -> None:
        """Add measures and accounts."""
        self.measures.update(measures)
        if self.account_ids is not None:
            self.account_ids.update(account_ids)
            if len(self.account_ids) > _MAX_ACCOUNTS:
                self.account_ids = None


_END = Statement(
    "SELECT end_writing(CAST(%(today)s AS date), CAST(%(nonce)s AS bigint), CAST(%(measures)s AS text[]), "
    "CAST(%(account_ids)s AS bigint[]))"
)
_CHANGE = Statement("SELECT note_change(CAST(%(nonce)s AS bigint), ARRAY['*'], NULL)")

_DELETE = Statement("DELETE FROM data_change WHERE committed_at < clock_timestamp() - make_interval(days => %(days)s)")


def end_writing(today: date | None, changes: DataChanges | None) -> BoundStatement:
    """Return the last statement of a transaction, which notes its changes if it has written anything.

    today: the day on which it records; the statement fails unless that is the last day of the books. None: on no day. changes:
    None where any measure and account may have changed.
    """
    if changes is None:
        changes = DataChanges({ANYTHING}, None)
    parameters = {
        "today": today,
        "nonce": _nonce(),
        "measures": sorted(changes.measures),
        "account_ids": None if changes.account_ids is None else sorted(changes.account_ids),
    }
    return BoundStatement(_END, parameters)


def change_state() -> BoundStatement:
    """Return the statement that changes the state, whatever has changed: every start of the service and every migration does."""
    return BoundStatement(_CHANGE, {"nonce": _nonce()})


def change_state_of(connection: sa.Connection) -> None:
    """Change the state after a migration, unless the tables have none."""
    if connection.scalar(sa.text("SELECT to_regprocedure('note_change(bigint, text[], bigint[])')")) is not None:
        connection.execute(sa.text("SELECT note_change(:nonce, ARRAY['*'], NULL)"), {"nonce": _nonce()})


def delete_old_changes() -> BoundStatement:
    """Return the statement that deletes what nobody asks for any more; a day later, since a transaction may have taken long."""
    return BoundStatement(_DELETE, {"days": CHANGE_DAYS + 1})


def _nonce() -> int:
    """Return a random number of 64 bits, new for each attempt: what an attempt has committed may never be confirmed."""
    return int.from_bytes(secrets.token_bytes(8), signed=True)
