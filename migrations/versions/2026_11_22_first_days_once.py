"""A first day in a year, which is also the first in its quarter and month, is entered once: under the longest.

A measure of first days keeps those that are not the first in the next longer unit; sums of entries are linear, so what was
entered twice is taken off where it stands. No event has to be posted again.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAMES = ("active_users", "any_feature_users", "feature_users", "users_joined")
_MONTHS = [f"m{month:02}" for month in range(1, 13)]
# table -> what a row is found by besides its measure, and the numbers in it
TABLES = {
    "entry": (["effective_on", "account_id", "subject", "channel", "recorded_on"], ["value"]),
    "total": (["year", "account_id", "subject", "channel"], _MONTHS),
    "grand_total": (["year", "subject", "channel"], _MONTHS),
}


def upgrade() -> None:
    _add("-", ("month", "quarter"), ("quarter", "year"))
    for table, (_, numbers) in TABLES.items():
        zero = " AND ".join(f"{number} = 0" for number in numbers)
        op.execute(
            f"DELETE FROM {table} USING label WHERE key = measure AND text IN ({_words('month', 'quarter')}) AND {zero}"
        )


def downgrade() -> None:
    _add("+", ("month", "quarter"), ("month", "year"), ("quarter", "year"))


def _add(sign: str, *pairs: tuple[str, str]) -> None:
    """Add to the shorter unit of each pair what there is of the longer one, or take it off."""
    said = ", ".join(f"('{name}_{shorter}', '{name}_{longer}')" for name in NAMES for shorter, longer in pairs)
    for table, (place, numbers) in TABLES.items():
        key = ", ".join(["measure", *place])
        op.execute(f"""
            INSERT INTO {table} ({key}, {", ".join(numbers)})
            SELECT shorter.key, {", ".join(place)}, {", ".join(f"{sign} sum({number})" for number in numbers)}
            FROM (VALUES {said}) AS pair(shorter, longer)
            JOIN label AS shorter ON shorter.text = pair.shorter
            JOIN label AS longer ON longer.text = pair.longer
            JOIN {table} ON measure = longer.key
            GROUP BY shorter.key, {", ".join(place)}
            ON CONFLICT ({key}) DO UPDATE SET {", ".join(f"{n} = {table}.{n} + excluded.{n}" for n in numbers)}
            """)


def _words(*units: str) -> str:
    return ", ".join(f"'{name}_{unit}'" for name in NAMES for unit in units)
