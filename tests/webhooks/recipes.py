"""What the tests of the recipes share: which receivers there are, what they write, events, and what the CRM got."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.service import event
from tests.webhooks.hooks import Hooks
from tests.webhooks.outside import Call, Crm, ExampleReceiver

RECEIVERS = ["hubspot_receiver", "salesforce_receiver", "slack_receiver"]
WRITERS = RECEIVERS[:2]
# By receiver: what the fields are called there.
FIELDS = {
    "hubspot_receiver": {"mrr": "csm_mrr", "score": "csm_health", "band": "csm_band", "nrr": "csm_nrr"},
    "salesforce_receiver": {"mrr": "Csm_Mrr__c", "score": "Csm_Health__c", "band": "Csm_Band__c", "nrr": "Csm_Nrr__c"},
}
TOPICS = {
    "hubspot_receiver": ["mrr.moved", "health.band_changed"],
    "salesforce_receiver": ["mrr.moved", "health.band_changed"],
    "slack_receiver": ["alert.triggered", "alert.resolved", "feedback.received"],
}


def for_receivers(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("receiver", names, indirect=True)


def price(mrr: str, account: str = "acme", **rest: Any) -> dict[str, Any]:
    at = rest.pop("at", datetime.now(UTC).isoformat())
    return event("subscription.changed", account, at=at, subscription_id="one", mrr=mrr, **rest)


def response(score: int, **data: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return event("survey.responded", at=at, **{"user": "ada", "survey": "nps", "score": score} | data)


def values_of(call: Call) -> dict[str, Any]:
    return call.body.get("properties", call.body)


def values(crm: Crm, field: str) -> list[Any]:
    """Return what was written into a field, in order."""
    return [values_of(call)[field] for call in crm.calls if field in values_of(call)]


def states(hooks: Hooks, receiver: ExampleReceiver) -> list[str]:
    return [row["state"] for row in hooks.deliveries(receiver.endpoint)]
