"""A history in which every metric has a value, by every convention: of accounts on two plans, and of some that move."""

from typing import Any

from tests.support.service import Service, event, moved

PLANS, MONTHS = ("pro", "enterprise"), ("2026-03", "2026-04")
BOTH_MONTHS = {"start": "2026-03-01", "end": "2026-05-01"}
# On `pro` until the middle of March, then on `enterprise`: one is a customer all the time, the others become one.
PLAN_CHANGERS = ["moves", "moves-and-pays-in-2026-03", "moves-and-pays-in-2026-04"]

Events = list[dict[str, Any]]


def send_busy_history(service: Service) -> None:
    """Tell all of it."""
    service.put("/v1/surveys/effort", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"})
    for number, plan in enumerate(PLANS, start=2):
        for account in accounts_on_plan(plan):
            service.send(moved(account, plan=plan))
        service.send(*_customer(f"stays-{plan}", number))
        for month in MONTHS:
            service.send(_pays(f"leaves-{plan}-{month}", "2026-01-10", 70 * number))
            service.send(
                _leaves(f"leaves-{plan}-{month}", f"{month}-08"), *_won(f"comes-{plan}-{month}", month, number)
            )
    for account in PLAN_CHANGERS:
        service.send(moved(account, plan="pro"), moved(account, at="2026-03-15T00:00:00Z", plan="enterprise"))
    service.send(*_customer(PLAN_CHANGERS[0], 1))
    for month, account in zip(MONTHS, PLAN_CHANGERS[1:], strict=True):
        service.send(*_won(account, month, 5))


def accounts_on_plan(plan: str) -> list[str]:
    """The accounts that are always on a plan."""
    passing = [f"{verb}-{plan}-{month}" for verb in ("leaves", "comes") for month in MONTHS]
    return [f"stays-{plan}", *passing]


def _customer(account: str, number: int) -> Events:
    """One who pays since January, and to whom everything happens in both months."""
    before = [_pays(account, "2026-01-10", 100 * number), _orders(account, "2026-01-12", 40)]
    return before + [told for month in MONTHS for told in busy_month_events(account, month, number)]


def busy_month_events(account: str, month: str, number: int) -> Events:
    """Everything that a customer can tell, more of it the higher the number: of each kind `number` good and one other."""
    return [
        *_money(account, month, number),
        *_deals(account, month, number),
        *_use(account, month, number),
        *_help(account, month, number),
        *_voice(account, month, number),
    ]


def _money(account: str, month: str, number: int) -> Events:
    price = 100 * number
    return [
        # It grows, leaves and comes back smaller; a part of it goes.
        _pays(account, f"{month}-04", price + 30),
        _leaves(account, f"{month}-06"),
        _pays(account, f"{month}-11", price + 15),
        _pays(account, f"{month}-18", price + 10),
        event("cost.recorded", account, at=f"{month}-05", category="acquisition", amount=str(100 + number)),
        event("cost.recorded", account, at=f"{month}-05", category="retention", amount=str(10 + number)),
    ]


def _deals(account: str, month: str, number: int) -> Events:
    told = [_orders(account, f"{month}-{day:02}", 20 + number) for day in range(1, number + 2)]
    told.append(event("purchase.refunded", account, at=f"{month}-20", order_id=f"{month}-01", amount="3"))
    for one in range(number + 1):
        named = {"trial_id": f"{month}-{one}"}
        ends = "trial.converted" if one else "trial.expired"
        told += [event("trial.started", account, at=f"{month}-02", **named)]
        told += [event(ends, account, at=f"{month}-{15 + one}", **named)]
        due: dict[str, Any] = {"contract_id": f"{month}-{one}"}
        ends = "renewal.completed" if one else "renewal.declined"
        told += [event("renewal.due", account, at=f"{month}-10", amount="100", **due)]
        told += [event(ends, account, at=f"{month}-12", **due, **({"amount": "80"} if one else {}))]
    return told


def _use(account: str, month: str, number: int) -> Events:
    told = [event("user.registered", account, user="idle", at=f"{month}-03")]
    told += [event("session.ended", account, user="user-0", at=f"{month}-09T15:00:00Z", duration_seconds=60)]
    for one in range(number + 1):
        user = f"user-{one}"
        told += [event("session.ended", account, user=user, at=f"{month}-09", duration_seconds=600 * number)]
        told += [event("goal.entered", account, at=f"{month}-03", goal="upgrade", who=f"{month} {one}")]
        told += [event("onboarding.started", account, user=f"{month}-{user}", at=f"{month}-03")]
        told += [event("user.registered", account, user=f"{month}-{user}", at=f"{month}-03")]
        if one:
            told += [event("feature.used", account, user=user, at=f"{month}-{9 + one:02}", feature="export")]
            told += [event("goal.completed", account, at=f"{month}-07", goal="upgrade", who=f"{month} {one}")]
            told += [event("onboarding.completed", account, user=f"{month}-{user}", at=f"{month}-{3 + number:02}")]
    return told


def _help(account: str, month: str, number: int) -> Events:
    told = []
    for one in range(number + 2):
        ticket = {"ticket_id": f"{month}-{one}"}
        told += [event("ticket.opened", account, at=f"{month}-05", **ticket)]
        # The first waits, the second took more than one contact.
        if one:
            solved = {"first_contact": one > 1}
            told += [event("ticket.resolved", account, at=f"{month}-{5 + number:02}", **ticket, **solved)]
    return told


def _voice(account: str, month: str, number: int) -> Events:
    told = []
    for survey, good, bad in (("nps", 10, 3), ("csat", 5, 2), ("effort", 6, 1)):
        for score in [good] * number + [bad]:
            told += [event("survey.sent", account, at=f"{month}-12", survey=survey)]
            told += [event("survey.responded", account, at=f"{month}-13", survey=survey, score=score)]
    told += [event("survey.sent", account, at=f"{month}-12", survey="nps")]
    comments = [f"comment-{account}-{month}-{one}" for one in range(number + 1)]
    told += [event("feedback.received", account, at=f"{month}-14", id=id, comment="Fast help.") for id in comments]
    solved = {"status": "resolved"}
    told += [event("feedback.updated", account, at=f"{month}-15", feedback=id, **solved) for id in comments[1:]]
    return told


def _won(account: str, month: str, number: int) -> Events:
    won = event("cost.recorded", account, at=f"{month}-10", category="acquisition", amount=str(200 + number))
    return [_pays(account, f"{month}-20", 50 + number), won]


def _pays(account: str, at: str, mrr: int) -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="main", mrr=str(mrr), seats=10)


def _leaves(account: str, at: str) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="main", reason="price")


def _orders(account: str, at: str, amount: int) -> dict[str, Any]:
    return event("purchase.completed", account, at=at, order_id=at, amount=str(amount))


RowKey = tuple[str, str, str, str]


def all_rows(service: Service, **asked: Any) -> dict[RowKey, dict[str, Any]]:
    """The rows of all metrics by all of their conventions: by metric, convention, period and group."""
    listed = service.get("/v1/metrics")["metrics"]
    metrics = ",".join(entry["name"] for entry in listed if len(entry["conventions"]) == 1)
    rows = service.get("/v1/query", metrics=metrics, **asked)["rows"]
    for entry in listed:
        if len(entry["conventions"]) > 1:
            rows += service.get(f"/v1/metrics/{entry['name']}/conventions", **asked)["rows"]
    return {(row["metric"], row["convention"], row["period"], repr(row["group"])): row for row in rows}
