"""One of each thing that has an id in a path, for the tests that go over all paths."""

from tests.inbound.senders import put_source, send
from tests.support.service import Service, account_update, event, session
from tests.webhooks.hooks import allowing_hooks


def put_everything(service: Service) -> dict[str, str]:
    """Put one of each thing that has an id in a path, unless it is there; return the ids by the names in the paths."""
    endpoint_id = _put_endpoint(service)
    service.send(session(id="e"), account_update(plan="pro"), event("feedback.received", id="comment", comment="Fine."))
    service.put("/v1/targets/goal", {"metric": "nps", "granularity": "month", "value": 40})
    service.put("/v1/alerts/goal", {"metric": "nps", "granularity": "month", "below": 20})
    put_source(service, "calls", "cloudevents")
    send(service, "calls", {"specversion": "1.0", "id": "1", "source": "x"})
    [delivery] = service.get(f"/v1/webhook-endpoints/{endpoint_id}/deliveries", limit=1)["deliveries"]
    [comment] = service.get("/v1/feedback", account="acme", limit=1)["feedback"]
    return {
        "account_id": "acme",
        "alert_id": "goal",
        "delivery": "x%201",
        "delivery_id": delivery["id"],
        "endpoint_id": endpoint_id,
        "entity_set": "Accounts",
        "event_id": "e",
        "feedback_id": comment["id"],
        "insight_id": "nps_drop",
        "key_id": "k",
        "metric": "nps",
        "name": "n",
        "source": "calls",
        "survey_id": "nps",
        "target_id": "goal",
        "user_id": "u",
    }


def _put_endpoint(service: Service) -> str:
    endpoints = service.get("/v1/webhook-endpoints")["endpoints"]
    if endpoints:
        return str(endpoints[0]["id"])
    # Nobody listens there. The test is a delivery all the same.
    with allowing_hooks(service) as hooks:
        id = str(hooks.create("http://127.0.0.1:1025/")["id"])
        hooks.post(f"{id}/test")
    return id
