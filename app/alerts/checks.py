"""The checks of an alert before it is stored: what its fields say together."""

from collections.abc import Collection, Iterator
from decimal import Decimal

from app.alerts.body import AlertBody
from app.alerts.definition import BELOW, CHANGE, KINDS, AlertDefinition
from app.core.names import Fault, build_fault
from app.metrics.define import ContextValue
from app.metrics.number_checks import (
    SourceParts,
    fields_in,
    missing_fields,
    why_impossible,
    why_impossible_amount,
)

_REQUIRED = ("metric", "granularity")
_DIVIDED = ContextValue("divided")


def check_alert(body: AlertBody, faults: list[Fault]) -> tuple[AlertDefinition | None, list[Fault]]:
    """Return the definition and no faults; or none, and all faults that need no data, after those that are known already."""
    source, invalid = SourceParts(body), fields_in(faults)
    all_faults = [*faults, *_find_faults(body, source, invalid)]
    return (None if all_faults else _definition(body, source)), all_faults


def _find_faults(body: AlertBody, source: SourceParts, invalid: Collection[str]) -> Iterator[Fault]:
    yield from missing_fields(body, _REQUIRED, invalid)
    yield from source.find_faults()
    yield from _account_faults(body, source)
    kinds = [kind for kind in KINDS if getattr(body, kind) is not None]
    if len(kinds) > 1 or (not kinds and not any(kind in invalid for kind in KINDS)):
        detail = 'An alert has one of "above", "below" and "change_percent". For two thresholds, put two alerts.'
        yield build_fault(f"/{kinds[1] if kinds else KINDS[0]}", detail, code="one_threshold")
    if len(kinds) == 1:
        yield from _threshold_faults(body, source, kinds[0])


def _account_faults(body: AlertBody, source: SourceParts) -> Iterator[Fault]:
    if body.each_account and source.metric is not None and _DIVIDED in source.metric.inputs.values():
        detail = (
            f"{source.metric.name} is not a metric of single accounts. Choose one whose value an account has by itself."
        )
        yield build_fault("/metric", detail, code="metric_not_by_account")


def _threshold_faults(body: AlertBody, source: SourceParts, kind: str) -> Iterator[Fault]:
    threshold: Decimal = getattr(body, kind)
    if kind == CHANGE and threshold == 0:
        yield build_fault("/change_percent", "A change of 0 percent is none.", code="impossible_value")
    if body.margin is not None and body.margin < 0:
        yield build_fault("/margin", "The margin must be 0 or more.", code="impossible_value")
        return
    if source.metric is None or kind == CHANGE:
        return
    metric = source.metric
    if detail := why_impossible(metric, threshold):
        yield build_fault(f"/{kind}", detail, code="impossible_value")
        return
    low, high = metric.range
    end = low if kind == BELOW else high
    if end is not None and threshold == Decimal(str(end)):
        detail = f"No value of {metric.name} is {kind} {end}, so the alert could never trigger."
        yield build_fault(f"/{kind}", detail, code="impossible_value")
    if body.margin is not None:
        back = threshold + body.margin if kind == BELOW else threshold - body.margin
        detail = why_impossible(metric, back) or why_impossible_amount(metric, body.margin)
        if detail:
            yield build_fault("/margin", f"The alert could never resolve. {detail}", code="impossible_value")


def _definition(body: AlertBody, source: SourceParts) -> AlertDefinition:
    kind = next(kind for kind in KINDS if getattr(body, kind) is not None)
    if source.metric is None or body.granularity is None:
        raise ValueError("an alert with faults has no definition")
    return AlertDefinition(
        metric=source.metric.name,
        convention=source.metric.convention,
        group=source.group,
        granularity=body.granularity,
        kind=kind,
        threshold=getattr(body, kind),
        margin=body.margin,
        each_account=body.each_account,
        min_sample=body.min_sample,
        for_periods=body.for_periods,
    )
