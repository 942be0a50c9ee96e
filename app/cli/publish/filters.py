"""The reference page of the filter language."""

from app.accounts import filters
from app.cli.publish.markdown import fence, from_docstring, page

EXAMPLES = """plan = "pro"
plan in ("pro", "enterprise") and seats >= 20
region = "emea" or not (seats < 10)
churn_risk is not null
`Customer tier` = 'gold'"""

INTRO = """This page is the complete description of filters. The guide
[accounts and segments](../guides/accounts-and-segments.md#filter) shows them in use; [mappings](mapping.md) use them as
conditions."""


def render() -> str:
    """Return the page."""
    rules = from_docstring(filters.__doc__ or "", "text")
    return page("Filters", INTRO, "## The language", *rules, "## Examples", fence(EXAMPLES, "text"))
