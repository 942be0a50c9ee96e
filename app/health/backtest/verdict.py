"""What the figures of a back-test mean: a verdict, or why there can be none, and warnings."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from app.health.backtest.question import BacktestQuestion

# With fewer accounts on either side, the AUC of all cut-offs says nothing, nor, with fewer at one cut-off, that of the cut-off.
MIN_ACCOUNTS = 10
MIN_AT_CUT_OFF = 5

# So high an AUC is more often a leak than a good model.
_LEAKAGE_AREA = 0.95
_CHANCE = 0.5

_NAMES = {"churned": "churned", "churned_or_contracted": "churned or contracted"}
_HOW_TO_IMPORT = (
    "Import history with `recorded_on`, the day on which each event became known, before anything else of its account (see the "
    "guide Importing files), or wait until a horizon has passed since the import."
)
# The sentences of reasons, in the order in which they are looked for among the cut-offs.
_CUT_OFF_SENTENCES = {
    "nothing_known_yet": "Nothing had been recorded by the day `as_of`.",
    "not_recorded_then": "What is known of the past was recorded later: at these cut-offs less than half of the customers were "
    f"known, so there is nothing that a score could have been made of. {_HOW_TO_IMPORT}",
    "horizon_not_closed": "The horizon of every cut-off is still open: who churned is known until {observed_until}, the last day "
    "that is over and has something recorded on it or after it. Choose a shorter `horizon_days` or an earlier range.",
    "no_customers": "There were no customers at any cut-off.",
}


class Facts(NamedTuple):
    """What verdict and warnings depend on.

    cut_off_reasons: of those that are left out. has_cut_offs: whether any is used. scores: how many are tested. accounts_with,
    accounts_without: how many accounts the outcome followed at a cut-off, and how many it did not. observed_until: the last
    day on which that is known. versions_not_in_force: the number of cut-offs at which the model did not hold.
    """

    cut_off_reasons: Sequence[str]
    has_cut_offs: bool
    scores: int
    accounts_with: int
    accounts_without: int
    observed_until: date
    versions_not_in_force: int

    @property
    def is_enough(self) -> bool:
        """Whether there is an AUC."""
        return min(self.accounts_with, self.accounts_without) >= MIN_ACCOUNTS


def find_verdict(
    question: BacktestQuestion, facts: Facts, area: float | None, interval: tuple[float, float] | None
) -> dict[str, Any]:
    """Return the verdict, the reason where there can be none, and a sentence about it."""
    if area is None or interval is None:
        reason, detail = _why_not(question, facts)
        return {"verdict": "cannot_tell", "reason": reason, "detail": detail}
    low, high = interval
    verdict = "predicts" if low > _CHANCE else "inverted" if high < _CHANCE else "no_better_than_chance"
    detail = (
        f"Of one account that {_NAMES[question.outcome]} within {question.horizon_days} days and one that did not, the former "
        f"had the lower score in {100 * area:.1f}% of all pairs (95% interval {100 * low:.1f}% to {100 * high:.1f}%; chance is "
        f"50%)."
    )
    return {"verdict": verdict, "reason": None, "detail": detail}


def _why_not(question: BacktestQuestion, facts: Facts) -> tuple[str, str]:
    if not facts.has_cut_offs:
        reason = next(name for name in _CUT_OFF_SENTENCES if name in facts.cut_off_reasons)
        return reason, _CUT_OFF_SENTENCES[reason].format(observed_until=facts.observed_until)
    if not facts.scores:
        return "not_enough_data", (
            "No customer had enough data for a score at any cut-off, as far as was known then. If the history of usage was "
            f"imported later, it was not known. {_HOW_TO_IMPORT}"
        )
    name = _NAMES[question.outcome]
    if facts.accounts_with < MIN_ACCOUNTS:
        return "too_few_churned", (
            f"Only {facts.accounts_with} of the accounts with a score {name} within {question.horizon_days} days. With fewer "
            f"than {MIN_ACCOUNTS} there is no verdict. Choose a longer range or a longer horizon."
        )
    return "too_few_retained", (
        f"Only {facts.accounts_without} of the accounts with a score had not {name} {question.horizon_days} days later. With "
        f"fewer than {MIN_ACCOUNTS} there is nothing to compare with. Choose a shorter horizon."
    )


def list_warnings(question: BacktestQuestion, facts: Facts, area: float | None) -> list[dict[str, str]]:
    """Return what has to be known to trust the figures."""
    warnings = {}
    if area is not None and area > _LEAKAGE_AREA:
        warnings["possible_leakage"] = (
            f"An AUC above {_LEAKAGE_AREA} hints at leakage: the score may contain what is the churn itself, such as usage that "
            "ends because notice was given, or data that was changed afterwards. Look at which components tell them apart."
        )
    if question.model == "current":
        warnings["not_out_of_sample"] = (
            "The model of today is applied to the past, so its choice may have been made with knowledge of this history. It was "
            f"not in force at {facts.versions_not_in_force} of the cut-offs. Only `model=then` is a test."
        )
    skipped = facts.cut_off_reasons.count("not_recorded_then")
    if skipped and facts.has_cut_offs:
        warnings["not_recorded_then"] = (
            f"Less than half of the customers were known then at {skipped} of the cut-offs, which are left out. {_HOW_TO_IMPORT}"
        )
    return [{"code": code, "detail": detail} for code, detail in warnings.items()]
