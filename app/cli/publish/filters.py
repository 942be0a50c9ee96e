"""The reference page of the filter language."""

from app.accounts import filters
from app.cli.publish.markdown import fence, from_docstring, page

INTRO = """A filter is a condition over the attributes of an account. Use it in the parameter `filter`, in a segment, and as
`when` in a [mapping](mapping.md). The guide [accounts and segments](../guides/accounts-and-segments.md#filter) shows it in
use."""

EXAMPLES = """plan = "pro"
plan in ("pro", "enterprise") and seats >= 20
region = "emea" or not (seats < 10)
churn_risk is not null
`Customer tier` = 'gold'"""


def render() -> str:
    """Return the page."""
    rules = from_docstring(filters.__doc__ or "", "text")
    return page("Filters", INTRO, "## Examples", fence(EXAMPLES, "text"), "## The language", *rules)
