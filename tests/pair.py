"""The service and the model side by side: what happens, happens to both, and what one answers is held against the other."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count, zip_longest
from random import Random
from typing import Any

from tests.almanac import DAY, Calendar
from tests.formulas import METRICS, SURVEYS, Survey
from tests.model import Model, Where
from tests.service import Service

_numbers = count()
ROW = ("metric", "period", "start", "end", "complete", "group", "value", "numerator", "denominator", "sample_size")
MORE_SURVEYS = {
    "visit": Survey("csat", 1, 10, satisfied_from=7),
    "effort": Survey("ces", 1, 7, easy_is="high"),
    "effort-low": Survey("ces", 1, 7, easy_is="low"),
}


class Pair:
    """Both, and the accounts of this history: others may be in the same database."""

    def __init__(self, service: Service, calendar: Calendar | None = None, accounts: int = 3) -> None:
        self.service = service
        self.model = Model(calendar or Calendar(), MORE_SURVEYS)
        self.numbers = count()
        self.accounts = [f"{next(_numbers):05}-{name}" for name in ("acme", "globex", "initech")[:accounts]]
        for id, survey in MORE_SURVEYS.items():
            more = {"satisfied_from": survey.satisfied_from, "easy_is": survey.easy_is}
            body = {"kind": survey.kind, "scale": {"min": survey.low, "max": survey.high}}
            service.put(f"/v1/surveys/{id}", body | {name: value for name, value in more.items() if value})
        self.at(self.model.now)

    @property
    def now(self) -> datetime:
        return self.model.now

    @property
    def today(self) -> date:
        return self.model.today

    def at(self, now: datetime) -> "Pair":
        self.service.now = self.model.now = now
        return self

    def on(self, day: date, **after_midnight: int) -> "Pair":
        return self.at(self.model.calendar.midnight(day) + timedelta(**after_midnight))

    def send(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Post a batch to both; they must agree about what became of it."""
        said = self.service.request("POST", "/v1/events", json=list(events)).json()
        expected = self.model.send(*events)
        rejected = [(rejected["index"], rejected["code"]) for rejected in said["rejected"]]
        # When all were rejected, the answer is a problem without the two counts.
        taken = [said.get("accepted", 0), said.get("duplicates", 0), rejected]
        assert taken == [expected["accepted"], expected["duplicates"], expected["rejected"]], (taken, expected, events)
        return expected

    def retract(self, account: str, id: str) -> None:
        self.service.retract(account, id)
        self.model.retract(account, id)

    def define(self, name: str, where: Where | None) -> None:
        if where is None:
            assert self.service.request("DELETE", f"/v1/segments/{name}").status_code == 204
        else:
            self.service.put(f"/v1/segments/{name}", {"filter": where.text})
        self.model.define(name, where)

    def ask(self, metrics: str, **question: Any) -> list[dict[str, Any]]:
        """The whole rows that the service answers; the model must answer the same."""
        question = {"account": self.accounts} | question
        rows = answered(self.service, metrics, **question)
        expected = [row for metric in sorted(metrics.split(",")) for row in self.model.rows(metric, **question)]
        pairs = zip_longest(map(narrowed, rows), snapped(expected, rows))
        assert not (unlike := [pair for pair in pairs if repr(pair[0]) != repr(pair[1])]), (question, unlike[:2])
        return rows

    def differences(self) -> list[Any]:
        """What `verify` finds in this history's accounts."""
        return [found for found in self.service.differences() if found.account in self.accounts]


def answered(service: Service, metrics: str, **question: Any) -> list[dict[str, Any]]:
    spelled = {name: value for name, value in question.items() if value}
    if where := spelled.pop("where", None):
        spelled["filter"] = where.text
    if "totals" in spelled:
        spelled["totals"] = "true"
    if "group_by" in spelled:
        spelled["group_by"] = ",".join(spelled["group_by"])
    return service.get("/v1/query", metrics=metrics, **spelled)["rows"]


def narrowed(row: dict[str, Any]) -> dict[str, Any]:
    """What METRICS.md says of a row; the service may say more."""
    return {name: row[name] for name in (*ROW, "interval")} | {"reason": row.get("reason")}


def snapped(expected: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The expected rows with numbers as the service has them, where these are the exact ones rounded to six decimals."""

    def snap(exact: Any, found: Any) -> Any:
        if isinstance(exact, list) and isinstance(found, list):
            return [snap(*pair) for pair in zip(exact, found, strict=True)]
        numbers = not isinstance(exact, str | bool | None) and isinstance(found, int | float)
        return found if numbers and abs(exact - found) <= 5.001e-7 else exact

    padded = [*rows, *[{}] * (len(expected) - len(rows))]
    return [
        {name: snap(row.get(name), found.get(name)) for name in (*ROW, "interval", "reason")} | {"group": row["group"]}
        for row, found in zip(expected, padded, strict=False)
    ]


# ---- chance: what may happen, and what may be asked ----

ATTRIBUTES: dict[str, list[Any]] = {
    "plan": ["free", "pro", "team", None],
    "seats": [5, 40, 7.5, "40", None],
    "vip": [True, False, 1, None],
}
SIDES = {"channel": ["email", "chat"], "feature": ["export", "search"]}


def happening(random: Random, pair: Pair) -> dict[str, Any]:
    """A new event of any kind, on time, late or ahead."""
    type, data, user = random.choice(_KINDS)(random)
    # The ids say nothing of the order of arrival.
    id = f"{random.randrange(100):02}-{next(pair.numbers)}"
    return {
        "id": id,
        "type": type,
        "account_id": random.choice(pair.accounts),
        **({"user_id": random.choice(["ada", "grace"])} if user else {}),
        "occurred_at": moment(random, pair).isoformat(),
        "data": data,
    }


def moment(random: Random, pair: Pair) -> datetime:
    """When something may have happened that is told now."""
    calendar, now = pair.model.calendar, pair.now
    kind = random.randrange(6)
    if kind == 0:
        return now + random.choice([timedelta(hours=24), timedelta(hours=3), timedelta(0)])
    if kind == 1:
        return now - timedelta(days=random.randrange(70), minutes=random.randrange(1440))
    if kind == 2:
        # The first instant of a day, and the last of the one before it.
        return calendar.midnight(pair.today - DAY * random.randrange(40)) - timedelta(seconds=random.randrange(2))
    if kind == 3 and pair.model.events:
        return random.choice(list(pair.model.events.values())).at
    return (now - timedelta(minutes=random.randrange(600))).astimezone(random.choice([UTC, calendar.zone]))


def _told(random: Random, **data: Any) -> dict[str, Any]:
    """Data with a channel and a comment, or without."""
    channel = {"channel": random.choice(SIDES["channel"])} if random.randrange(2) else {}
    comment = {"comment": "Fast help."} if random.randrange(2) else {}
    return data | channel | comment


def _answer(random: Random) -> Any:
    surveys = SURVEYS | MORE_SURVEYS
    survey = random.choice(sorted(surveys))
    score = random.randint(surveys[survey].low, surveys[survey].high)
    return "survey.responded", _told(random, survey=survey, score=score), False


def _sent(random: Random) -> Any:
    told = _told(random, survey=random.choice(["nps", "csat", "effort"]))
    return "survey.sent", {name: value for name, value in told.items() if name != "comment"}, False


def _ticket(random: Random) -> Any:
    told = _told(random, ticket_id=f"{random.random()}")
    return "ticket.opened", {name: value for name, value in told.items() if name != "comment"}, False


def _moved(random: Random) -> Any:
    keys = random.sample(sorted(ATTRIBUTES), random.choice([1, 1, 2]))
    return "account.updated", {"attributes": {key: random.choice(ATTRIBUTES[key]) for key in keys}}, False


_KINDS: list[Any] = [
    lambda random: ("session.ended", {"duration_seconds": random.choice([0, 60, 599, 3600])}, True),
    lambda random: ("feature.used", {"feature": random.choice(SIDES["feature"]), "count": random.randint(1, 3)}, True),
    lambda random: ("feedback.received", _told(random) | {"comment": "Please add dark mode."}, False),
    _ticket,
    _sent,
    _answer,
    _answer,
    _moved,
    _moved,
    _moved,
    _moved,
]


def turn(random: Random, pair: Pair, *, known_earlier: bool = False) -> date:
    """Something happens: a batch with repeats and conflicts in it, or a retraction. The earliest day that learned of it."""
    kept = list(pair.model.events.values())
    if kept and not random.randrange(4):
        taken = random.choice(kept)
        pair.retract(taken.event["account_id"], taken.event["id"])
        return pair.today
    batch = [happening(random, pair) for _ in range(random.randint(1, 8))]
    earliest = pair.today
    if known_earlier and not random.randrange(3):
        earliest -= DAY * random.randrange(4)
        batch = [event | {"known_at": str(earliest)} if random.randrange(3) else event for event in batch]
    if kept and not random.randrange(2):
        batch += [again.event for again in random.sample(kept, min(len(kept), 2))]
    if not random.randrange(3):
        batch.append(random.choice(batch))
        batch.append(
            random.choice(batch) | {"type": "session.ended", "user_id": "eve", "data": {"duration_seconds": 1}}
        )
    random.shuffle(batch)
    pair.send(*batch)
    return earliest


def is_(key: str, value: Any) -> Where:
    spelled = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return Where(f"{key} = {spelled}", lambda look: _same(look(key), value))


def below(key: str, value: float) -> Where:
    def holds(look: Any) -> bool:
        found = look(key)
        return isinstance(found, int | float) and not isinstance(found, bool) and found < value

    return Where(f"{key} < {value}", holds)


def unlike(where: Where) -> Where:
    return Where(f"not ({where.text})", lambda look: not where.holds(look))


def either(one: Where, other: Where) -> Where:
    return Where(f"({one.text} or {other.text})", lambda look: one.holds(look) or other.holds(look))


def condition(random: Random, depth: int = 2) -> Where:
    """Any filter."""
    kind = random.randrange(4 if depth else 2)
    if kind == 0:
        return below("seats", random.choice([7.5, 10, 41]))
    if kind == 1:
        key = random.choice(sorted(ATTRIBUTES))
        return is_(key, random.choice([value for value in ATTRIBUTES[key] if value is not None]))
    if kind == 2:
        return unlike(condition(random, depth - 1))
    return either(condition(random, depth - 1), condition(random, depth - 1))


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def question(random: Random, pair: Pair) -> dict[str, Any]:
    """Any question about the history: metrics that can be asked together, and a range around today."""
    if random.randrange(3):
        start = pair.today - DAY * random.randrange(75)
        asked: dict[str, Any] = {"start": start}
        if random.randrange(4):
            asked["end"] = start + DAY * random.randint(1, 80)
    else:
        asked = {"period": random.choice(PERIODS)}
    granularities = ["day", "day", "week", "week", "month", "quarter", "year", "total"]
    asked |= {"granularity": random.choice(granularities), "totals": bool(random.randrange(2))}
    sides = random.choice([(), (), ("subject",), ("channel",), ("subject", "channel")])
    groupings = random.sample(["plan", "seats", "vip", "account"], random.choice([0, 1, 1, 1, 2]))
    narrow = bool(sides) and not random.randrange(2)
    if narrow:
        asked |= {side: [random.choice(_OF_SIDE[side])] for side in sides}
    asked["group_by"] = groupings if narrow else (groupings + list(sides))[:3]
    if not random.randrange(3):
        asked["where"] = condition(random)
    if not random.randrange(4):
        asked["segments_as_of"] = "now"
    able = sorted(name for name, metric in METRICS.items() if set(sides) <= set(metric.sides))
    return asked | {"metrics": ",".join(random.sample(able, min(3, len(able))))}


_OF_SIDE = {"subject": ["nps", "effort", "export", "unheard"], "channel": ["email", "chat", "unheard"]}
PERIODS = [
    "last_12_months", "last_30_days", "last_6_weeks", "last_2_quarters", "last_month", "this_quarter", "this_year", "today",
    "yesterday", "month_to_date", "week_to_date", "2026", "2026-Q1", "2026-03", "2026-W10", None,
]  # fmt: skip
