"""MRR and its movements are kept per year, so that nothing is rounded before it is added up.

Twelve times what is there is right up to the rounding of the old version; `csmetrics rebuild` makes it right to the digit. So
answers are as before until then. A downgrade rounds, and leaves the rest to a rebuild, too.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

MEASURES = ("mrr", "mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr_reactivated")
_MONTHS = [f"m{month:02}" for month in range(1, 13)]
NUMBERS = {"entry": ["value"], "total": _MONTHS, "grand_total": _MONTHS}


def upgrade() -> None:
    _set_numbers("{} * 12")


def downgrade() -> None:
    _set_numbers("round({} / 12.0)")


def _set_numbers(expression: str) -> None:
    for table, numbers in NUMBERS.items():
        values = ", ".join(f"{number} = {expression.format(number)}" for number in numbers)
        op.execute(
            f"UPDATE {table} SET {values} FROM label WHERE label.key = {table}.measure AND label.text IN {MEASURES}"
        )
