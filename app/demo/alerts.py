"""The alerts of Lantern: what its team wants to know at once."""

from typing import Any

ALERTS: dict[str, dict[str, Any]] = {
    "nps-low": {"metric": "nps", "granularity": "month", "below": "20", "min_sample": 20},
    "mrr-of-account-falls": {"metric": "mrr", "granularity": "month", "change_percent": "-20", "each_account": True},
    "silent-customers": {"metric": "active_users", "granularity": "week", "below": "1", "each_account": True},
}
