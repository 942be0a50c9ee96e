"""The report of a back-test: its figures, what they mean in one sentence, and what has to be known to trust them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.health.backtest.cut_offs import CutOff
from app.health.backtest.observe import CutOffScores, Plan, ScoredAccount
from app.health.backtest.question import BacktestQuestion
from app.health.backtest.statistics import (
    CALIBRATION_ROWS,
    Observations,
    area_under_curve,
    bootstrap_interval,
    calibration_rows,
    count_resamples,
    find_lift,
    find_worst_decile,
    measure_frequency,
    roc_points,
    to_columns,
)
from app.health.backtest.verdict import MIN_AT_CUT_OFF, Facts, find_verdict, list_warnings
from app.health.model import BANDS
from app.health.versions import version_on
from app.metrics.rows import round_number

Report = dict[str, Any]


def is_counted(own: ScoredAccount) -> bool:
    """Return whether an account's score is tested: of one whose cancellation was known, there was nothing to predict."""
    return own.score is not None and not own.is_cancellation_known


def observe_accounts(accounts: Iterable[ScoredAccount]) -> Observations:
    """Return the observations of accounts that have a score."""
    return to_columns([(own.account, own.score, own.has_outcome) for own in accounts if own.score is not None])


def build_report(question: BacktestQuestion, plan: Plan, cut_off_scores: Sequence[CutOffScores]) -> Report:
    """Return the answer."""
    accounts = [account for own in cut_off_scores for account in own.accounts]
    counted_accounts = list(filter(is_counted, accounts))
    total = observe_accounts(counted_accounts)
    figures = _figures(total)
    reasons = {own: _cut_off_reason(question, plan, own) for own in question.cut_offs}
    cut_offs = _test_cut_offs(plan, cut_off_scores, reasons)
    facts = Facts(
        cut_off_reasons=[reason for reason in reasons.values() if reason],
        has_cut_offs=bool(cut_off_scores),
        scores=len(counted_accounts),
        accounts_with=len({own.account for own in counted_accounts if own.has_outcome}),
        accounts_without=len({own.account for own in counted_accounts if not own.has_outcome}),
        observed_until=plan.observed_until,
        versions_not_in_force=_count_not_in_force(plan, question, cut_off_scores),
    )
    area = area_under_curve(total) if facts.is_enough else None
    interval = bootstrap_interval(total) if facts.is_enough else None
    horizon = {"horizon_days": question.horizon_days}
    return {
        "question": question.as_json(),
        **find_verdict(question, facts, area, interval),
        **horizon,
        "observed_until": plan.observed_until,
        "auc": round_number(area),
        "auc_interval": _pair(interval),
        "resamples": count_resamples(figures["accounts"]) if interval else 0,
        "total": {**horizon, **figures, "lift": round_number(_lift_of_all(cut_off_scores, total))},
        "cut_offs": [{**own, **horizon} for own in cut_offs],
        "bands": [{**horizon, **own} for own in _test_bands(counted_accounts, figures)],
        "calibration": [{**horizon, **own} for own in _calibrate(total)],
        "roc": [{**horizon, **own} for own in _roc(total)] if facts.is_enough else [],
        "cancellation_known": {**horizon, **_test_cancellation_known(accounts)},
        "left_out": _sum_left_out(cut_offs),
        "model_versions": sorted({own.version.number for own in cut_off_scores}),
        "warnings": list_warnings(question, facts, area),
    }


def _test_cut_offs(
    plan: Plan, cut_off_scores: Sequence[CutOffScores], reasons: Mapping[CutOff, str | None]
) -> list[Report]:
    """Return the figures of each cut-off. reasons: why cut-offs are left out."""
    used = {own.cut_off: own for own in cut_off_scores}
    return [
        _test_cut_off(plan, used[own]) if own in used else _skip_cut_off(own, reason, plan)
        for own, reason in reasons.items()
    ]


def _lift_of_all(cut_off_scores: Sequence[CutOffScores], total: Observations) -> float | None:
    """Return the lift of the worst deciles, each of its cut-off: those that one would have looked at on that day."""
    by_cut_off = (observe_accounts(filter(is_counted, own.accounts)) for own in cut_off_scores)
    return find_lift(map(find_worst_decile, by_cut_off), total)


def _figures(observations: Observations) -> Report:
    count = measure_frequency(observations)
    return {
        "observations": count.observations,
        "accounts": count.accounts,
        "churned": count.outcomes,
        "churn_rate": round_number(count.rate),
        "interval": _pair(count.interval),
    }


def _pair(interval: tuple[float, float] | None) -> list[float] | None:
    return [round_number(bound) for bound in interval] if interval else None


def _cut_off_reason(question: BacktestQuestion, plan: Plan, cut_off: CutOff) -> str | None:
    """Return why a cut-off is left out; None for one that is used."""
    if not question.is_known:
        return "nothing_known_yet"
    return plan.customers[cut_off].reason if cut_off in plan.customers else "horizon_not_closed"


def _test_cut_off(plan: Plan, scores: CutOffScores) -> Report:
    observations = observe_accounts(filter(is_counted, scores.accounts))
    # Here every account is observed once.
    events = sum(observations.outcomes)
    is_enough = min(events, len(observations.outcomes) - events) >= MIN_AT_CUT_OFF
    lift = find_lift([find_worst_decile(observations)], observations) if is_enough else None
    without_score = sum(own.score is None and not own.is_cancellation_known for own in scores.accounts)
    cancellation_known = sum(own.is_cancellation_known for own in scores.accounts)
    return {
        **_describe(scores.cut_off),
        "model_version": scores.version.number,
        **_figures(observations),
        "auc": round_number(area_under_curve(observations)) if is_enough else None,
        "lift": round_number(lift),
        "left_out": _count_left_out(
            plan, scores.cut_off, without_score=without_score, cancellation_known=cancellation_known
        ),
        "reason": None if is_enough else "too_few_churned" if events < MIN_AT_CUT_OFF else "too_few_retained",
        "used": True,
    }


def _skip_cut_off(cut_off: CutOff, reason: str | None, plan: Plan) -> Report:
    names = ("model_version", "observations", "accounts", "churned", "churn_rate", "interval", "auc", "lift")
    left_out = _count_left_out(plan, cut_off)
    return {**_describe(cut_off), **dict.fromkeys(names), "left_out": left_out, "reason": reason, "used": False}


def _describe(cut_off: CutOff) -> Report:
    return {"cut_off": cut_off.day, "until": cut_off.until}


def _count_left_out(
    plan: Plan, cut_off: CutOff, *, without_score: int = 0, cancellation_known: int = 0
) -> dict[str, int]:
    """Return how many accounts of a cut-off are left out, by the reason."""
    if (customers := plan.customers.get(cut_off)) is None:
        return {}
    counts = {
        "not_recorded_then": customers.not_recorded_then,
        "left_before": customers.left_before,
        "cancellation_known": cancellation_known,
        "not_enough_data": without_score,
    }
    return {name: count for name, count in counts.items() if count}


def _sum_left_out(cut_offs: Sequence[Report]) -> Report:
    """Return the numbers of cut-offs and, of all those together, of accounts that are left out, by the reason."""
    skipped: dict[str, int] = {}
    accounts: dict[str, int] = {}
    for own in cut_offs:
        if not own["used"]:
            skipped[own["reason"]] = skipped.get(own["reason"], 0) + 1
        for reason, count in own["left_out"].items():
            accounts[reason] = accounts.get(reason, 0) + count
    return {"cut_offs": skipped, "accounts": accounts}


def _test_bands(counted_accounts: Sequence[ScoredAccount], figures: Report) -> list[Report]:
    """Return how often the accounts of each band churned, the worst first; lift: how many times as often as all."""
    rows = []
    for band in BANDS:
        own = _figures(observe_accounts(account for account in counted_accounts if account.band == band))
        lift = own["churn_rate"] / figures["churn_rate"] if own["observations"] and figures["churned"] else None
        rows.append({"band": band, **own, "lift": round_number(lift)})
    return rows


def _calibrate(total: Observations) -> list[Report]:
    width = 100 // CALIBRATION_ROWS
    return [
        {
            "score_from": number * width,
            "score_to": (number + 1) * width,
            "average_score": round_number(sum(own.scores) / len(own.scores) / 100) if own.scores else None,
            **_figures(own),
        }
        for number, own in enumerate(calibration_rows(total))
    ]


def _roc(total: Observations) -> list[Report]:
    return [
        {
            "score_below": own.score_below,
            "observations": own.observations,
            "churned": own.outcomes,
            "found_percent": round_number(own.hit_share),
            "false_alarm_percent": round_number(own.false_alarm_share),
        }
        for own in roc_points(total)
    ]


def _test_cancellation_known(accounts: Sequence[ScoredAccount]) -> Report:
    """Return the figures of accounts whose cancellation was known, and the AUC that counting them would have made."""
    cancellation_known = [own for own in accounts if own.is_cancellation_known]
    # Their number does not depend on their scores.
    outcomes = to_columns([(own.account, own.score or 0, own.has_outcome) for own in cancellation_known])
    with_them = area_under_curve(observe_accounts(accounts)) if cancellation_known else None
    return {**_figures(outcomes), "auc_with_them": round_number(with_them)}


def _count_not_in_force(plan: Plan, question: BacktestQuestion, cut_off_scores: Sequence[CutOffScores]) -> int:
    """Return at how many cut-offs the version that made the scores did not hold then, as far as was known."""
    if question.model == "then":
        return 0
    return sum(
        version_on(plan.all_versions, own.cut_off.day, own.cut_off.day).number != own.version.number
        for own in cut_off_scores
    )
