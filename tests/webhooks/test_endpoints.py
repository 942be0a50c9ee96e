"""Endpoints of receivers: what a change of one refuses."""

from tests.webhooks.hooks import Hooks


def test_a_change_is_answered_with_all_fields_that_cannot_be_null(hooks: Hooks) -> None:
    endpoint = hooks.create("http://127.0.0.1:1025/", description="HubSpot")
    answer = hooks.patch(endpoint["id"], url=None, topics=None, state=None)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/url", "/topics", "/state"]
    assert hooks.patch(endpoint["id"], description=None).json()["description"] is None
