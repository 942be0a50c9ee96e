"""Check the names by which comments are selected: a survey, accounts, a channel and attributes."""

from typing import Any

from app.accounts.recorded_names import NOT_STRICT, AttributeUse, account_faults, attribute_faults
from app.books.books import Books
from app.core.errors import Invalid
from app.core.names import Fault
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.feedback.comments import CommentFilter
from app.ledger.dimension_names import DimensionUse, dimension_faults
from app.ledger.measures import related_measures
from app.ledger.surveys import load_surveys, unknown_survey

# The measure that every comment is posted to.
_COMMENTS = "comments"


async def check_names(books: Books, comment_filter: CommentFilter, *, strict: bool) -> None:
    """Raise Invalid for a survey that is not declared and, when it is strict, for names that were never recorded."""
    keys = comment_filter.filter.keys if comment_filter.filter and strict else ()
    accounts = comment_filter.accounts if strict else ()
    channels = (comment_filter.channel,) if comment_filter.channel and strict else ()
    channel_use = DimensionUse("channel", channels, related_measures([_COMMENTS], "channel"), ())
    if not (comment_filter.survey or keys or accounts or channels):
        return

    async def find(connection: Connection) -> list[Fault]:
        plans: list[QueryPlan[Any]] = [
            attribute_faults([AttributeUse(key, "/query/filter") for key in keys]),
            account_faults(accounts, "/query/account"),
            dimension_faults(books.database, channel_use, pointer="/query/channel", advice=NOT_STRICT),
        ]
        lists = await run_plan(connection, merge_plans(plans))
        faults = [fault for own_faults in lists for fault in own_faults]
        surveys = await load_surveys(connection) if comment_filter.survey else {}
        if comment_filter.survey and comment_filter.survey not in surveys:
            faults.append(unknown_survey(comment_filter.survey, [*surveys], "/query/survey"))
        return faults

    if faults := await books.database.ask(find):
        raise Invalid.of(faults)
