"""A history in which every metric has a value by every convention, with accounts on two plans and some that change plans."""

from typing import Any

from tests.support.service import Service, account_update, event

PLANS, MONTHS = ("pro", "enterprise"), ("2026-03", "2026-04")
BOTH_MONTHS = {"start": "2026-03-01", "end": "2026-05-01"}
# On `pro` until the middle of March, then on `enterprise`. The first is a customer all the time, the others become customers.
PLAN_CHANGERS = ["moves", "moves-and-pays-in-2026-03", "moves-and-pays-in-2026-04"]

Events = list[dict[str, Any]]


def send_busy_history(service: Service) -> None:
    """Send all events of the history."""
    service.put("/v1/surveys/effort", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"})
    for number, plan in enumerate(PLANS, start=2):
        for account in accounts_on_plan(plan):
            service.send(account_update(account, plan=plan))
        service.send(*_customer(f"stays-{plan}", number))
        for month in MONTHS:
            service.send(_price(f"leaves-{plan}-{month}", "2026-01-10", 70 * number))
            service.send(
                _cancellation(f"leaves-{plan}-{month}", f"{month}-08"),
                *_new_customer(f"comes-{plan}-{month}", month, number),
            )
    for account in PLAN_CHANGERS:
        service.send(
            account_update(account, plan="pro"), account_update(account, at="2026-03-15T00:00:00Z", plan="enterprise")
        )
    service.send(*_customer(PLAN_CHANGERS[0], 1))
    for month, account in zip(MONTHS, PLAN_CHANGERS[1:], strict=True):
        service.send(*_new_customer(account, month, 5))


def accounts_on_plan(plan: str) -> list[str]:
    """Return the accounts that are on a plan all the time."""
    temporary = [f"{verb}-{plan}-{month}" for verb in ("leaves", "comes") for month in MONTHS]
    return [f"stays-{plan}", *temporary]


def _customer(account: str, number: int) -> Events:
    """Return the events of a customer since January, who has all types of events in both months."""
    january = [_price(account, "2026-01-10", 100 * number), _order(account, "2026-01-12", 40)]
    return january + [event for month in MONTHS for event in busy_month_events(account, month, number)]


def busy_month_events(account: str, month: str, number: int) -> Events:
    """Return events of all types for one month: of each kind `number` with a good outcome and one with another."""
    return [
        *_money(account, month, number),
        *_deals(account, month, number),
        *_usage(account, month, number),
        *_support(account, month, number),
        *_feedback(account, month, number),
    ]


def _money(account: str, month: str, number: int) -> Events:
    price = 100 * number
    return [
        # The account expands, churns, is reactivated with a lower price and contracts.
        _price(account, f"{month}-04", price + 30),
        _cancellation(account, f"{month}-06"),
        _price(account, f"{month}-11", price + 15),
        _price(account, f"{month}-18", price + 10),
        event("cost.recorded", account, at=f"{month}-05", category="acquisition", amount=str(100 + number)),
        event("cost.recorded", account, at=f"{month}-05", category="retention", amount=str(10 + number)),
    ]


def _deals(account: str, month: str, number: int) -> Events:
    events = [_order(account, f"{month}-{day:02}", 20 + number) for day in range(1, number + 2)]
    events.append(event("purchase.refunded", account, at=f"{month}-20", order_id=f"{month}-01", amount="3"))
    for n in range(number + 1):
        trial = {"trial_id": f"{month}-{n}"}
        end = "trial.converted" if n else "trial.expired"
        events += [event("trial.started", account, at=f"{month}-02", **trial)]
        events += [event(end, account, at=f"{month}-{15 + n}", **trial)]
        contract: dict[str, Any] = {"contract_id": f"{month}-{n}"}
        decision = "renewal.completed" if n else "renewal.declined"
        events += [event("renewal.due", account, at=f"{month}-10", amount="100", **contract)]
        events += [event(decision, account, at=f"{month}-12", **contract, **({"amount": "80"} if n else {}))]
    return events


def _usage(account: str, month: str, number: int) -> Events:
    events = [event("user.registered", account, user="idle", at=f"{month}-03")]
    events += [event("session.ended", account, user="user-0", at=f"{month}-09T15:00:00Z", duration_seconds=60)]
    for n in range(number + 1):
        user = f"user-{n}"
        events += [event("session.ended", account, user=user, at=f"{month}-09", duration_seconds=600 * number)]
        events += [event("goal.entered", account, at=f"{month}-03", goal="upgrade", who=f"{month} {n}")]
        events += [event("onboarding.started", account, user=f"{month}-{user}", at=f"{month}-03")]
        events += [event("user.registered", account, user=f"{month}-{user}", at=f"{month}-03")]
        if n:
            events += [event("feature.used", account, user=user, at=f"{month}-{9 + n:02}", feature="export")]
            events += [event("goal.completed", account, at=f"{month}-07", goal="upgrade", who=f"{month} {n}")]
            events += [event("onboarding.completed", account, user=f"{month}-{user}", at=f"{month}-{3 + number:02}")]
    return events


def _support(account: str, month: str, number: int) -> Events:
    events = []
    for n in range(number + 2):
        ticket = {"ticket_id": f"{month}-{n}"}
        events += [event("ticket.opened", account, at=f"{month}-05", **ticket)]
        # The first ticket stays open; the second is not resolved at first contact.
        if n:
            resolution = {"first_contact": n > 1}
            events += [event("ticket.resolved", account, at=f"{month}-{5 + number:02}", **ticket, **resolution)]
    return events


def _feedback(account: str, month: str, number: int) -> Events:
    events = []
    for survey, good, bad in (("nps", 10, 3), ("csat", 5, 2), ("effort", 6, 1)):
        for score in [good] * number + [bad]:
            events += [event("survey.sent", account, at=f"{month}-12", survey=survey)]
            events += [event("survey.responded", account, at=f"{month}-13", survey=survey, score=score)]
    events += [event("survey.sent", account, at=f"{month}-12", survey="nps")]
    comments = [f"comment-{account}-{month}-{n}" for n in range(number + 1)]
    events += [event("feedback.received", account, at=f"{month}-14", id=id, comment="Fast help.") for id in comments]
    resolution = {"status": "resolved"}
    events += [event("feedback.updated", account, at=f"{month}-15", feedback=id, **resolution) for id in comments[1:]]
    return events


def _new_customer(account: str, month: str, number: int) -> Events:
    cost = event("cost.recorded", account, at=f"{month}-10", category="acquisition", amount=str(200 + number))
    return [_price(account, f"{month}-20", 50 + number), cost]


def _price(account: str, at: str, mrr: int) -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="main", mrr=str(mrr), seats=10)


def _cancellation(account: str, at: str) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="main", reason="price")


def _order(account: str, at: str, amount: int) -> dict[str, Any]:
    return event("purchase.completed", account, at=at, order_id=at, amount=str(amount))


RowKey = tuple[str, str, str, str]


def all_rows(service: Service, **question: Any) -> dict[RowKey, dict[str, Any]]:
    """Return the rows of all metrics by all of their conventions, by metric, convention, period and group."""
    listed = service.get("/v1/metrics")["metrics"]
    metrics = ",".join(entry["name"] for entry in listed if len(entry["conventions"]) == 1)
    rows = service.get("/v1/query", metrics=metrics, **question)["rows"]
    for entry in listed:
        if len(entry["conventions"]) > 1:
            rows += service.get(f"/v1/metrics/{entry['name']}/conventions", **question)["rows"]
    return {(row["metric"], row["convention"], row["period"], repr(row["group"])): row for row in rows}
