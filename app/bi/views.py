"""All views of the schema `bi`, in the order in which people read about them."""

import hashlib
from functools import cache

from app.bi.define import View
from app.bi.metric_views import metric_views
from app.bi.record_views import record_views
from app.bi.ticket_view import ticket_view


@cache
def all_views() -> tuple[View, ...]:
    """Return all views. Requires the catalogues."""
    return (*record_views(), ticket_view(), *metric_views())


@cache
def fingerprint() -> str:
    """Return a hash of all views with their comments: another one is another version of them."""
    return hashlib.sha256(repr(all_views()).encode()).hexdigest()[:16]
