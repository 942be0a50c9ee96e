"""A company whose accounts and attributes have every kind of awkward name, and questions about it.

Names are formulas for a spreadsheet, numbers and truth values as texts, empty, with quotes, separators and line ends, of other
scripts and directions. Numbers are zero, tiny, huge, missing with a reason, with intervals, and of periods that still run.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.service import NOON, Service, account_update, event, session, survey_responses

NAMES = [
    "=1+1",
    "+1",
    "-5",
    "@x",
    "0123",
    "TRUE",
    "1e5",
    "null",
    'a "quoted", one; two',
    "o'neil\\|",
    "two\nlines",
    "Zu\u0308rich 🎉👩‍💻",
    "שלום عالم",
    "<b>&amp;</b>_x0041_",
    "",
]
# Values of one attribute of several types, some of which look the same as text; a chart has room for as many.
TIERS: list[Any] = [None, "", "=1+1", "0123", 123, 2.5, True, "true"]
# An attribute whose key is that of a column of every table, and of one that only some have.
CLASHING_KEYS = {"value": "v", "low": "=l", "amount": 7, "reason": "r"}
MONTHS = ("2026-01", "2026-02", "2026-03")
AS_OF = NOON.date()


def account_of(number: int) -> str:
    """Return the id of an account: ids have no control characters, and are not empty."""
    return NAMES[number].replace("\n", " ") or "(empty)"


def found_company(service: Service) -> None:
    """Send the events. At the end, the clock stands on a day after today, so that the database agrees with it on the day."""
    for number, name in enumerate(NAMES):
        _add_account(service, account_of(number), name, number)
    service.send(
        event("feedback.received", account_of(0), at="2026-02-01", id="free", comment='=HYPERLINK("x")\n🎉'),
        # Whom nobody has told anything about but a price; and nothing of it but a price of zero.
        _price("tiny", "2026-01-09", "0.01"),
        _price("huge", "2026-02-09", "98765432109.87"),
        _price("nothing", "2026-02-09", "0"),
    )
    service.put("/v1/segments/=seg", {"filter": 'tier = "=1+1" or tier is null'})
    service.put('/v1/segments/o\'neil, "Ü"', {"filter": "tier = 123 or tier = true"})
    _tell_late(service)


def _add_account(service: Service, account: str, name: str, number: int) -> None:
    tier = TIERS[number % len(TIERS)]
    price = f"{100 + 7 * number}.{number:02}"
    answer = service.send(
        account_update(account, name=f"Account {name}", plan=name, tier=tier, **CLASHING_KEYS),
        _price(account, "2026-01-10", price),
        *(session(account, at=f"{month}-03", user=f"u{n}", seconds=61 * (number + n + 1))
          for month in MONTHS for n in range(number % 3)),
        *survey_responses("nps", [10, number % 11, 9], account, at="2026-02-05", channel="email"),
        *survey_responses("csat", [number % 5 + 1], account, at="2026-03-05", channel="chat"),
        event("ticket.opened", account, at="2026-02-06T08:00:00Z", ticket_id="t", channel="email"),
        event("ticket.replied", account, at=f"2026-02-06T{9 + number % 9:02}:20:00Z", ticket_id="t", by="agent"),
        event("purchase.completed", account, at="2026-03-09", order_id="o", amount=f"{number}.99"),
        event("onboarding.started", account, user="ada", at="2026-02-02"),
        event("onboarding.completed", account, user="ada", at=f"2026-02-{number + 3:02}"),
        *_movement(account, number),
    )  # fmt: skip
    assert answer["rejected"] == [], answer


def _movement(account: str, number: int) -> list[dict[str, Any]]:
    """Return what happens to the price in February and March: of five accounts, one each gains, loses, leaves and comes back."""
    match number % 5:
        case 0:
            return [_price(account, "2026-02-11", "433.33")]
        case 1:
            return [_price(account, "2026-03-12", "12.34")]
        case 2:
            return [_cancellation(account, "2026-02-14")]
        case 3:
            return [_cancellation(account, "2026-02-14"), _price(account, "2026-03-02", "55.55")]
    return []


def _tell_late(service: Service) -> None:
    """Let the day of the books be one after today, and send on it what is of earlier months, and of the month that runs."""
    latest = max(service.now, datetime.now(UTC))
    service.now = (latest.replace(day=1) + timedelta(days=32)).replace(day=10, hour=12)
    today = str(service.now.date())
    answer = service.send(
        session(account_of(0), at="2026-02-03", user="late"),
        _price(account_of(4), "2026-02-20", "1.01"),
        *survey_responses("nps", [0, 10], account_of(11), at=today, channel="email"),
        _price(account_of(12), today, "999.99"),
        session(account_of(12), at=today),
        account_update(account_of(10), at=f"{today}T00:00:00Z", plan="moved"),
    )
    assert answer["rejected"] == [], answer


def _price(account: str, at: str, mrr: str) -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="s", mrr=mrr)


def _cancellation(account: str, at: str) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="s", reason="price")


Question = dict[str, Any]

# At most as many as a chart has room for; together they have every unit.
_VOICE = ["mrr", "nps", "sessions", "nrr", "average_first_response_hours", "csat_average"]
_MONEY = ["arpa", "customer_churn_rate", "quick_ratio", "average_session_minutes", "time_to_value_days", "revenue"]
BRIDGE = ["mrr_opening", "mrr_new", "mrr_reactivated", "mrr_expansion", "mrr_contraction", "mrr_churned", "mrr"]
_QUARTER = {"start": "2026-01-01", "end": "2026-04-01"}


def questions() -> dict[str, Question]:
    """Return the questions by name, as members of a JSON body."""
    voice, money = {"metrics": _VOICE, **_QUARTER}, {"metrics": _MONEY, **_QUARTER}
    return {
        "months": voice,
        "months of other metrics": money,
        "quarter": voice | {"granularity": "quarter"},
        "total": money | {"granularity": "total"},
        "weeks": {"metrics": ["sessions", "mrr"], "granularity": "week", "start": "2026-01-05", "end": "2026-03-02"},
        "one metric": {"metrics": ["mrr"], **_QUARTER},
        "by text": voice | {"group_by": ["plan"]},
        "by values of several types": money | {"group_by": ["tier"]},
        "by two attributes": voice | {"group_by": ["tier", "plan"]},
        "by account": money | {"group_by": ["account"]},
        "by keys that are columns": voice | {"group_by": [*CLASHING_KEYS][:3]},
        "by survey": {"metrics": ["nps", "csat_average"], **_QUARTER, "group_by": ["subject", "channel"]},
        "bridge": {"metrics": BRIDGE, **_QUARTER},
        "bridge by account": {"metrics": BRIDGE, **_QUARTER, "group_by": ["account"]},
        "segments": voice | {"segment": ["=seg", 'o\'neil, "Ü"'], "group_by": ["segment"]},
        "some accounts": voice | {"account": [account_of(0), account_of(11), account_of(12)], "group_by": ["account"]},
        "filter": money | {"filter": 'tier = "0123" or tier is null'},
        "as known earlier": voice | {"as_of": str(AS_OF)},
        "as known before anything": voice | {"as_of": str(AS_OF - timedelta(days=400))},
        "convention": {"metrics": ["grr"], **_QUARTER, "convention": "movements"},
        "running month": {"metrics": _VOICE, "period": "this_month", "group_by": ["tier"]},
        "default range": {"metrics": ["nps", "mrr"]},
        "complete periods": {"metrics": ["mrr", "sessions"], "period": "last_3_months", "complete_only": True},
        "compared": voice | {"compare": "previous_period"},
        "compared by tier": money | {"compare": "previous_period", "group_by": ["tier"]},
        "totals": voice | {"totals": True, "group_by": ["tier"]},
        "withheld": voice | {"min_sample": 4, "group_by": ["tier"]},
        "no rows": {"metrics": ["mrr"], **_QUARTER, "account": ["nobody"], "group_by": ["plan"], "strict": False},
    }
