"""Answers are bounded, whatever names and texts customers have, and there is a way to go on; hostile calls are errors."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.agents.define import MAX_BYTES, TOOLS
from app.agents.schemas import input_schema
from tests.agents.agent import ask, call, post, size_of
from tests.support.hostile import CANARY
from tests.support.naughty import VALID_IDS
from tests.support.service import Service, account_update, event, session

LONG = "😀" * 1_000
ACCOUNTS = [f"{number:03}" + "😀" * 120 for number in range(120)]


@pytest.fixture(scope="module")
def crowd(shared: Service) -> Iterator[Service]:
    """Accounts whose ids, names, attributes and comments are as long as they may be."""
    for account in ACCOUNTS:
        attributes = {f"{LONG[:90]}{number}": f"{account[:3]}{LONG}" for number in range(6)}
        shared.send(
            account_update(account, name=LONG, trait=f"{account[:3]}{LONG}", **attributes),
            session(account, at="2026-03-03"),
            event("subscription.changed", account, at="2026-01-05", subscription_id="s", mrr="100", currency="USD"),
            event("survey.responded", account, at="2026-03-01", survey="nps", score=2, comment="😀" * 9_000),
            *(event("ticket.opened", account, at="2026-03-02", ticket_id=f"{n}{'😀' * 120}") for n in range(9)),
        )
    for number in range(60):
        shared.put(
            f"/v1/segments/{number}{'x' * 100}", {"filter": " or ".join(f'trait = "{n}{"y" * 100}"' for n in range(25))}
        )
    yield shared


CALLS: dict[str, list[dict[str, Any]]] = {
    "compare_numbers": [
        {
            "metrics": ["sessions", "mrr"],
            "group_by": ["trait"],
            "limit": 100,
            "first": {"period": "2026-02"},
            "second": {"period": "2026-03"},
        }
    ],
    "explain_health": [{"account": ACCOUNTS[0]}],
    "explain_number": [{"metric": "customer_churn_rate", "account": ACCOUNTS, "period": "2026-03"}],
    "find_accounts": [{"limit": 100}],
    "find_metrics": [{}, {"names": ["customer_churn_rate", "clv", "nrr", "grr", "net_mrr_churn_rate"]}],
    "get_account": [{"account": ACCOUNTS[0]}, {"account": ACCOUNTS[1], "granularity": "day", "period": "last_30_days"}],
    "get_cohorts": [{"group_by": ["trait"], "by": "week", "measure": "mrr"}],
    "get_context": [{}],
    "get_funnel": [{"group_by": ["trait"], "granularity": "week", "limit": 100}],
    "get_scorecard": [{"limit": 100}],
    "list_attributes": [{"limit": 100}],
    "list_contributors": [{"metric": "mrr", "period": "2026-03", "limit": 100}],
    "list_health": [{"limit": 100}],
    "list_insight_accounts": [{"insight": "detractors_unanswered", "limit": 100}],
    "list_insights": [{"limit": 100}],
    "query_metrics": [
        {"metrics": ["sessions"], "group_by": ["trait", "account", "name"], "period": "2026-03", "limit": 100},
        {"metrics": ["sessions", "mrr", "nps"], "granularity": "day", "period": "last_12_months", "limit": 100},
        {"metrics": ["sessions"], "segment": [f"{number}{'x' * 100}" for number in range(3)], "period": "2026-03"},
    ],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_no_answer_is_longer_than_the_bound(crowd: Service, tool: str) -> None:
    crowd.on("2026-03-20")
    for arguments in CALLS[tool]:
        result = call(crowd, tool, **arguments)
        assert not result.get("isError"), result
        content = result["structuredContent"]
        text = result["content"][0]["text"]
        # What is left out has a way to it.
        if content.get("next"):
            assert f"cursor={content['next']}" in text


@pytest.mark.parametrize("tool", ["find_accounts", "list_health", "list_contributors", "query_metrics"])
def test_pages_that_were_made_shorter_have_every_account_once(crowd: Service, tool: str) -> None:
    arguments: dict[str, Any] = CALLS[tool][0]
    accounts: list[str] = []
    cursor = None
    while accounts == [] or cursor:
        answer = ask(crowd, tool, **arguments, cursor=cursor)
        rows = answer.get("rows") or answer["accounts"]
        accounts += [row.get("id") or row.get("account") or row["group"]["account"] for row in rows]
        assert rows
        cursor = answer["next"]
    assert sorted(accounts) == ACCOUNTS


HOSTILE: dict[str, Any] = {
    "a word": CANARY,
    "nothing": "",
    "zero": 0,
    "minus one": -1,
    "2^63": 2**63,
    "a fraction": 0.5,
    "truth": True,
    "a list": [CANARY],
    "a list of lists": [[[]]],
    "many": ["mrr"] * 1_001,
    "an object": {CANARY: {}},
    "long": "a" * 20_000,
    "null character": f"\0{CANARY}",
    "half a pair": "\ud800",
    "control characters": f"a\r\n\x1b[31m{CANARY}",
    "sql": f"'; DROP TABLE event; --{CANARY}",
    "percent": "%s%n%(a)s",
    "deep": "(" * 1_500 + "a = 1" + ")" * 1_500,
    "no day": "2026-02-30",
    "last day": "9999-12-31",
    "a path": "../../etc/passwd",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_any_argument_gets_an_answer_or_an_error_of_the_call(crowd: Service, tool: str) -> None:
    for argument in [*input_schema(TOOLS[tool])["properties"], CANARY]:
        for kind, value in HOSTILE.items():
            response = post(crowd, "tools/call", {"name": tool, "arguments": CALLS[tool][0] | {argument: value}})
            assert response.status_code in (200, 400), (argument, kind, response.text)
            result = response.json().get("result")
            if result is not None:
                assert size_of(result) <= MAX_BYTES, (argument, kind)
                assert result["structuredContent"].get("code") != "internal_error", (argument, kind)


@pytest.mark.parametrize("id", VALID_IDS)
def test_any_id_can_be_asked_for(crowd: Service, id: str) -> None:
    for tool, argument in (
        ("get_account", "account"),
        ("explain_health", "account"),
        ("list_insight_accounts", "insight"),
    ):
        result = call(crowd, tool, **{argument: id})
        assert not result.get("isError") or result["structuredContent"]["code"] in (
            "unknown_account",
            "unknown_insight",
            "invalid",
        )
