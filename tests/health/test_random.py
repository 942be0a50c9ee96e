"""Health on random histories and random models: what the independent model computes, and identities in every answer."""

from datetime import date, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.accounts.accounts import account_key
from app.database.query_plan import run_plan
from app.health.metric_values import MetricComponent
from app.health.scores import load_scores
from app.ledger.sums.account_operands import is_by_account
from app.ledger.sums.account_sums import KnownDay
from app.metrics.define import METRICS
from tests.health.models import component, model
from tests.model.formulas import METRICS as MODEL_METRICS
from tests.model.generators import random_events, random_step
from tests.model.health import DEFAULT_MODEL, health_of
from tests.model.pair import Pair
from tests.support.campaign import examples
from tests.support.service import Service, event, session

without_deadline = settings(deadline=None, max_examples=examples(8), suppress_health_check=list(HealthCheck))
random_generators = st.builds(Random, st.integers(0, 2**32))
DAY = timedelta(days=1)
numbers = count()
# Metrics that single accounts have, and what the independent model knows.
BY_ACCOUNT = [
    name
    for name, metric in METRICS.items()
    if name in MODEL_METRICS
    and all(map(is_by_account, metric.operands))
    and "divided" not in str(metric.inputs.values())
]
COUNTED = ["sessions", "support_tickets", "survey_responses"]


def usage(random: Random, account: str) -> list[dict[str, Any]]:
    """Return some months of usage, so that there is a baseline, with a subscription."""
    start = date(2025, 11, 1)
    days = sorted(random.sample(range(135), random.randint(0, 60)))
    quiet_from = random.choice([135, 100, 60])
    sessions = [
        session(account, user=random.choice("abc"), at=str(start + DAY * day), id=f"{account}-{day}")
        for day in days
        if day < quiet_from
    ]
    price = {"subscription_id": "s", "mrr": str(random.randint(1, 500)), "seats": random.randint(1, 4)}
    return [
        *sessions,
        event("subscription.changed", account, id=f"{account}-s", at=str(start + DAY * random.randrange(120)), **price),
    ]


def random_component(random: Random, number: int) -> dict[str, Any]:
    poor, good = random.sample([-100, -10, 0, 1, 2.5, 5, 10, 50, 85, 100], 2)
    kind = random.choice(["value", "value", "change", "baseline", "days_since", "last_response"])
    own: dict[str, Any] = {
        "id": f"c{number}",
        "kind": kind,
        "poor": poor,
        "good": good,
        "weight": random.choice([0, 1, 2, 0.5, 10]),
    }
    if random.randrange(2):
        own["category"] = random.choice(["usage", "revenue", "voice"])
    if kind in ("value", "change"):
        own |= {"metric": random.choice(BY_ACCOUNT), "window_days": random.choice([1, 7, 28, 45])}
    if kind == "value" and not random.randrange(3):
        own["requires"] = random.choice(COUNTED)
    if kind == "change" and random.randrange(2):
        own["change_in"] = "points"
    if kind == "baseline":
        own["metric"] = random.choice(["sessions", "active_user_days", "active_users", "feature_uses"])
    if kind == "days_since":
        own["metric"] = "active_user_days"
    return own


def random_document(random: Random) -> dict[str, Any]:
    components = [random_component(random, number) for number in range(random.randint(1, 7))]
    components.append(component("always", "sessions", 0, 5))
    caps = {name: random.choice([1, 0.5, 0.25]) for name in ("usage", "revenue", "voice")}
    return {"components": components, "categories": caps, "min_coverage": random.choice([0, 0.3, 0.7])}


def body_of(document: dict[str, Any], **fields: Any) -> dict[str, Any]:
    categories = {name: {"cap": cap} for name, cap in document["categories"].items()}
    return document | {"categories": categories} | fields


def check_card(pair: Pair, document: dict[str, Any], account: str, day: date) -> None:
    """Compare the card of an account, as it was and was known on a day, with what the independent model computes."""
    histories = {history.account: history for history in pair.model.histories(day)}
    answer = pair.service.request(
        "GET", f"/v1/accounts/{account}/health", params={"as_of": str(day), "period": "last_month"}
    )
    if answer.status_code == 404:
        assert account not in {history.account for history in pair.model.histories(pair.today)}
        return
    card = answer.json()
    check_sums(card)
    if account not in histories:
        assert card["score"] is None
        return
    expected = health_of(histories[account], day, MODEL_METRICS, document)
    where = (account, day, document, card)
    for own in card["components"]:
        value, score, contribution = expected.components[own["id"]]
        assert (own["value"] is None) == (value is None), (own, value, where)
        if value is not None:
            assert own["value"] == pytest.approx(float(value), abs=1e-5), (own, where)
            # A value in the middle between two hundredths is rounded either way by a float.
            assert own["score"] == pytest.approx((score or 0) / 100, abs=0.0101), (own, where)
            assert own["contribution"] == pytest.approx(contribution / 100, abs=0.0301), (own, where)
    assert card["coverage"] == pytest.approx(float(expected.coverage), abs=1e-4), where
    assert (card["score"] is None) == (expected.score is None), where
    assert card["score"] is None or card["score"] == pytest.approx((expected.score or 0) / 100, abs=0.0201), where


def check_sums(card: dict[str, Any]) -> None:
    """Check that the contributions add up to the score, and the weights to 1."""
    hundredths = sum(round(100 * own["contribution"]) for own in card["components"])
    assert hundredths == round(100 * (card["score"] or 0)), card
    if card["score"] is not None:
        assert sum(own["weight"] for own in card["components"]) == pytest.approx(1, abs=1e-5), card


def test_health_is_what_the_independent_model_computes(service: Service) -> None:
    @without_deadline
    @given(random_generators)
    def check(random: Random) -> None:
        pair = Pair(service, accounts=2)
        pair.on(date(2026, 3, 5), hours=9)
        documents = {pair.today: random_document(random) if random.randrange(3) else DEFAULT_MODEL}
        first = next(iter(documents.values()))
        service.run(forget_models(service))
        if first is not DEFAULT_MODEL:
            service.put("/v1/health-model", body_of(first, effective_from="2020-01-01"))
        for account in pair.accounts:
            pair.send(*usage(random, account))
        for _ in range(random.randint(2, 5)):
            pair.on(pair.today + DAY * random.randrange(3), hours=random.randrange(9, 20))
            random_step(random, pair)
            pair.send(*random_events(random, pair, 6))
        for account in pair.accounts:
            for day in {pair.today, pair.today - DAY, date(2026, 3, 5)}:
                check_card(pair, first, account, day)

    check()


async def forget_models(service: Service) -> None:
    """Remove the models of an earlier history: another example is about another one."""
    await service.books.database.write(lambda connection: connection.execute("DELETE FROM health_model"))


def test_an_answer_of_a_day_is_given_again_whatever_comes_later(service: Service) -> None:
    @without_deadline
    @given(random_generators)
    # A history with a day before the first subscription of an account, which became known later.
    @example(Random(588))
    def check(random: Random) -> None:
        service.run(forget_models(service))
        pair = Pair(service, accounts=2)
        pair.on(date(2026, 3, 5), hours=9)
        # A segment of its own, since the database has those of other examples, which were on other days.
        segment = f"paying-{next(numbers)}"
        service.put(f"/v1/segments/{segment}?strict=false", {"filter": 'plan = "pro"'})
        for account in pair.accounts:
            pair.send(*usage(random, account))
        answers: dict[date, list[Any]] = {}
        for _ in range(random.randint(3, 6)):
            happen(random, pair, segment)
            answers[pair.today] = report(pair)
            pair.on(pair.today + DAY * random.randint(1, 3), hours=random.randrange(9, 20))
        happen(random, pair, segment)
        for day, expected in answers.items():
            assert report(pair, as_of=str(day)) == expected, day

    check()


def happen(random: Random, pair: Pair, segment: str) -> None:
    """Let anything happen: late events, corrections, an erasure, an override, another model, another segment."""
    service = pair.service
    random_step(random, pair)
    kind = random.randrange(5)
    account = random.choice(pair.accounts)
    if kind == 0:
        document = random_document(random)
        weights = [{"segment": segment, "weights": {"always": random.choice([1, 5])}}]
        since = pair.today - DAY * random.choice([0, 0, 10, 40])
        answer = service.request(
            "PUT", "/v1/health-model", json=body_of(document, segment_weights=weights, effective_from=str(since))
        )
        assert answer.status_code == 200 or answer.json()["code"] == "overlapping_versions", answer.text
    elif kind == 1:
        pair.service.request("DELETE", f"/v1/accounts/{account}/users/ada/personal-data")
    elif kind == 2:
        at = f"{pair.today - DAY * random.randrange(5)}T06:00:00Z"
        pair.service.send(
            event("health.overridden", account, at=at, score=random.randrange(100), reason="So.", author="ada")
        )
    elif kind == 3:
        service.put(
            f"/v1/segments/{segment}?strict=false", {"filter": random.choice(['plan = "pro"', 'plan != "pro"'])}
        )


def report(pair: Pair, **parameters: Any) -> list[Any]:
    """Return what is answered about a day, without who said what, which an erasure replaces."""
    service = pair.service
    cards = []
    for account in pair.accounts:
        card = service.get(f"/v1/accounts/{account}/health", period="last_3_months", **parameters)
        check_sums(card)
        override = card.pop("override")
        cards.append((card, override and (override["score"], override["since"])))
    rows = service.get("/v1/health", accounts="all", **parameters)
    scores = {row["account"]: row["score"] for row in rows["accounts"] if row["account"] in pair.accounts}
    metrics = "health_score,accounts_by_band"
    numbers = service.get("/v1/query", metrics=metrics, account=pair.accounts, period="last_3_months", **parameters)[
        "rows"
    ]
    # The running period is complete when the day has passed.
    return [cards, scores, [(row["metric"], row["start"], row["value"]) for row in numbers]]


def test_differences_of_contributions_add_up_to_the_difference_of_scores(service: Service) -> None:
    @without_deadline
    @given(random_generators)
    # A history with a day before the first subscription of an account, which became known later.
    @example(Random(588))
    def check(random: Random) -> None:
        service.run(forget_models(service))
        pair = Pair(service, accounts=1)
        pair.on(date(2026, 3, 5), hours=9)
        (account,) = pair.accounts
        pair.send(*usage(random, account), *random_events(random, pair, 20))
        for since in ("2025-12-01", "2026-02-01"):
            if random.randrange(2):
                service.put("/v1/health-model", body_of(random_document(random), effective_from=since))
        for days in ({"from": "2026-01-10"}, {"from": "2026-02-20", "to": "2026-03-01"}):
            answer = service.get(f"/v1/accounts/{account}/health/explanation", **days)
            sides = [answer[side]["score"] for side in ("from", "to")]
            assert (answer["difference"] is None) == (None in sides)
            if answer["difference"] is not None:
                total = sum(round(100 * own["difference"]) for own in answer["differences"])
                assert total == round(100 * sides[1]) - round(100 * sides[0]) == round(100 * answer["difference"])
                for own in answer["differences"]:
                    assert round(100 * (own["by_value"] + own["by_weight"])) == round(100 * own["difference"])
            assert answer["sentence"]

    check()


def test_every_metric_of_accounts_is_what_a_question_about_the_account_answers(service: Service) -> None:
    """A component's value is the answer of `/v1/query` over the same days, as known on the same day."""

    @without_deadline
    @given(random_generators)
    # A history with a day before the first subscription of an account, which became known later.
    @example(Random(588))
    def check(random: Random) -> None:
        service.run(forget_models(service))
        pair = Pair(service, accounts=2)
        pair.on(date(2026, 3, 1), hours=9)
        for account in pair.accounts:
            pair.send(*usage(random, account))
        pair.send(*random_events(random, pair, 25))
        pair.on(date(2026, 3, 4), hours=9)
        random_step(random, pair)
        days = random.choice([1, 7, 28, 63])
        names = [name for name in sorted(METRICS) if name not in ("health_score", "accounts_by_band")]
        names = [
            name
            for name in names
            if not MetricComponent(id="x", kind="value", poor=0, good=1, weight=1, metric=name).faults("")
        ]
        sample = random.sample(names, 30)
        parts = [component(f"c{number}", name, 0, 1) for number, name in enumerate(sample)]
        service.put("/v1/health-model", model(*parts, window_days=days))
        end = random.choice([date(2026, 3, 5), date(2026, 3, 2), date(2026, 2, 1)])
        for as_of in (None, date(2026, 3, 2)):
            day = end - DAY if as_of is None else min(end - DAY, as_of)
            compare_with_query(pair, sample, day=day, days=days, as_of=as_of)

    check()


def compare_with_query(pair: Pair, names: list[str], *, day: date, days: int, as_of: date | None) -> None:
    service = pair.service

    async def load(connection: Any) -> Any:
        return await run_plan(connection, load_scores([KnownDay(day, as_of)]))

    # As of a day before the model was put, its own version holds: it is loaded as known now.
    (scores,) = service.run(service.books.database.ask(load))
    if scores.version.number == 0:
        return
    by_key = dict(zip(scores.accounts, range(len(scores.accounts)), strict=True))
    for account in pair.accounts:
        parameters = {
            "start": str(day - DAY * (days - 1)),
            "end": str(day + DAY),
            "granularity": "total",
            "account": account,
        }
        parameters |= {"as_of": str(as_of)} if as_of else {}
        rows = service.get("/v1/query", metrics=",".join(names), strict="false", **parameters)["rows"]
        answers = {row["metric"]: row["value"] for row in rows}
        index = by_key.get(account_key(account))
        for number, name in enumerate(names):
            value = None if index is None else scores.components[f"c{number}"].values[index]
            if index is not None:
                assert (value is None) == (answers[name] is None), (name, account, parameters)
                assert value is None or value == pytest.approx(answers[name], abs=1e-6), (name, account, parameters)
