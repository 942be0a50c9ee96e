"""Receive deliveries: verify, translate, and store each in the transaction of the events that it becomes; see also `replay`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from app.accounts.accounts import account_key
from app.books.books import Books
from app.core import meters
from app.core.aside import run_aside
from app.core.errors import Conflict, NotFound, Problem, Unauthenticated, Unavailable
from app.core.ids import MAX_ID_LENGTH, normalize_id
from app.database.connection import Connection
from app.database.tables import WHOLE_BUSINESS
from app.http.encoding import decompress
from app.inbound.complete import CompleteDelivery, complete_deliveries
from app.inbound.define import Context, Failure, RawEvent, Remark
from app.inbound.deliveries import (
    DeliveryResult,
    RawDelivery,
    Status,
    lock_deliveries,
    write_deliveries,
)
from app.inbound.order import MomentChanged, check_moments, place_deliveries
from app.inbound.schemes import SignedRequest, unverified_error
from app.inbound.sources import DeliverySource, lock_source
from app.ingest.accept import accept_events
from app.ingest.decode import UndecodableEvent
from app.ingest.outcome import BatchOutcome, Rejection
from app.ingest.payload import Ignored, Untranslatable
from app.ingest.preview import PreviewState, preview_events

log = structlog.get_logger(__name__)

MAX_REASONS = 20
_MAX_REASON_LENGTH = 500
FAILURE = "The service failed to translate it, and its log says why."
_MAX_ATTEMPTS = 5


class Translation(NamedTuple):
    """The events that a delivery becomes, and remarks on it. is_failed: whether a part of it cannot be translated."""

    events: Sequence[RawEvent | UndecodableEvent]
    reasons: Sequence[dict[str, Any]]
    is_failed: bool


class Receipt(NamedTuple):
    """What became of a delivery, and the outcome of its events."""

    id: str
    result: DeliveryResult
    outcome: BatchOutcome


async def receive(books: Books, source: DeliverySource, request: SignedRequest, *, max_bytes: int) -> Receipt:
    """Verify a request and store it with its events. Raises Unauthenticated, Malformed or TooLarge; then nothing is stored.

    Raises Unavailable for a delivery that is stored without events because the vendor's API does not answer: the vendor sends
    it again.
    """
    try:
        source.vendor.scheme_of(source.options).verify(request, source.secrets, now=books.clock())
    except Unauthenticated:
        meters.INBOUND_DELIVERIES.labels(source.vendor.name, "unauthenticated").inc()
        raise
    delivery = read_delivery(books, source, request, max_bytes=max_bytes)
    [whole] = await complete_deliveries(source, [delivery])
    try:
        [receipt] = await process_deliveries(books, source, [whole])
    except NotFound:
        raise unknown_source() from None
    if isinstance(whole.error, Unavailable):
        raise whole.error
    return receipt


def unknown_source() -> Unauthenticated:
    """Return the error of a delivery to no source. It is that of a wrong signature, so that nobody learns which there are."""
    return unverified_error("There is no source of this name, or the signature is wrong.", code="unverified")


def read_delivery(books: Books, source: DeliverySource, request: SignedRequest, *, max_bytes: int) -> RawDelivery:
    """Return the delivery that a request is. Its id is the vendor's, or a hash of the body."""
    encodings = request.find_headers("content-encoding")
    body = decompress(request.body, ",".join(encodings), max_bytes=max_bytes)
    headers = {name: _decode(value) for name, value in request.headers if _is_kept(name, source)}
    try:
        own_id = source.vendor.find_id(source.vendor.parse(body), headers)
    except (Problem, Untranslatable):
        own_id = None
    own_id = own_id and normalize_id(own_id)
    if not own_id or not own_id.isprintable() or len(own_id) > MAX_ID_LENGTH:
        # With a header that the mapping reads, the same body is another delivery.
        chosen = {name: headers[name] for name in sorted(_chosen_headers(source)) if name in headers}
        own_id = hashlib.sha256(body + (json.dumps(chosen).encode() if chosen else b"")).hexdigest()
    return RawDelivery(own_id, books.clock(), headers, body)


def _decode(value: str) -> str:
    """Return the value of a header as the text that it is: UTF-8, as senders mostly write it, else Latin-1, as HTTP has it."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _chosen_headers(source: DeliverySource) -> set[str]:
    return {own.lower() for own in getattr(source.options, "headers", ())}


def _is_kept(name: str, source: DeliverySource) -> bool:
    """Return whether a header is kept. One of the vendor that ends with a hyphen stands for all that begin with it."""
    return name in (*source.vendor.headers, *_chosen_headers(source)) or any(
        own.endswith("-") and name.startswith(own) for own in source.vendor.headers
    )


def translate(
    books: Books, source: DeliverySource, delivery: RawDelivery, error: Problem | Untranslatable | None = None
) -> Translation:
    """Return what a delivery becomes. error: why it is not complete."""
    if error is not None:
        return Translation([], [_reason(error)], is_failed=True)
    vendor = source.vendor
    context = Context(
        vendor.name,
        source.options,
        source.mapping,
        delivery.headers,
        delivery.body,
        books.calendar.day,
        delivery.position,
        delivery.successor,
    )
    events: list[RawEvent | UndecodableEvent] = []
    reasons: list[dict[str, Any]] = []
    is_failed = False
    try:
        for part in vendor.translate(vendor.parse(delivery.body), context):
            match part:
                case Ignored(reason):
                    reasons.append({"code": "ignored", "detail": reason})
                case Remark(reason):
                    reasons.append({"code": "remark", "detail": reason})
                case Failure(reason):
                    reasons.append({"code": "untranslatable", "detail": reason})
                    is_failed = True
                case event:
                    events.append(event)
    except (Untranslatable, Problem) as failure:
        reasons.append(_reason(failure))
        is_failed = True
    except Exception:
        # A fault of a translation must not lose the delivery: it is kept, and replayed when the fault is repaired.
        log.exception("cannot translate a delivery", source=source.id, vendor=vendor.name, delivery=delivery.id)
        reasons.append({"code": "untranslatable", "detail": FAILURE})
        is_failed = True
    if not events and not reasons:
        reasons.append({"code": "ignored", "detail": "The payload is empty."})
    return Translation(events, reasons, is_failed)


def _reason(error: Problem | Untranslatable) -> dict[str, Any]:
    if isinstance(error, Problem):
        return {"code": error.code, "detail": error.detail}
    return {"code": "untranslatable", "detail": str(error)}


async def process_deliveries(
    books: Books, source: DeliverySource, deliveries: Sequence[CompleteDelivery], *, is_replay: bool = False
) -> list[Receipt]:
    """Translate deliveries, and store them with their events in one transaction. Raises Conflict for an erased one."""
    for _ in range(_MAX_ATTEMPTS):
        try:
            receipts = await _store(books, source, deliveries, is_replay=is_replay)
        except MomentChanged:
            continue
        for receipt in receipts:
            meters.INBOUND_DELIVERIES.labels(source.vendor.name, receipt.result.status).inc()
        return receipts
    raise Unavailable("Other deliveries about the same keep coming. Send it again.", code="busy")


async def _store(
    books: Books, source: DeliverySource, complete_deliveries: Sequence[CompleteDelivery], *, is_replay: bool
) -> list[Receipt]:
    raw_deliveries = [own.delivery for own in complete_deliveries]
    deliveries, counts = await place_deliveries(books, source.id, source.vendor, raw_deliveries)
    translations = await run_aside(
        lambda: [
            translate(books, source, delivery, own.error)
            for delivery, own in zip(deliveries, complete_deliveries, strict=True)
        ],
        items=sum(count_events_at_most(source, own.body) for own in deliveries),
    )
    raws = [event for translation in translations for event in translation.events]
    receipts: list[Receipt] = []

    async def write(connection: Connection, outcome: BatchOutcome) -> None:
        await lock_source(connection, source.id)
        await check_moments(connection, source.id, counts)
        if is_replay and await lock_deliveries(connection, source.id, deliveries) < len(deliveries):
            raise erased_delivery()
        receipts[:] = _build_receipts(deliveries, translations, outcome)
        results = [receipt.result for receipt in receipts]
        await write_deliveries(connection, source.id, deliveries, results)

    may_backdate = bool(getattr(source.options, "may_backdate", False))
    await accept_events(books, raws, may_backdate=may_backdate, write_beside=write)
    return receipts


def count_events_at_most(source: DeliverySource, body: bytes) -> int:
    """Return about how many events a body may become, without reading it: no value is smaller than the comma after it."""
    return (body.count(b",") + 1) * len((source.mapping or {}).get("events", "1"))


def erased_delivery() -> Conflict:
    """Return the error of a delivery whose body was erased, or which was deleted during a replay."""
    return Conflict("The delivery was erased with a person's data, so it cannot be replayed.", code="erased")


def _build_receipts(
    deliveries: Sequence[RawDelivery], translations: Sequence[Translation], outcome: BatchOutcome
) -> list[Receipt]:
    """Return what became of each delivery, from the outcome of the events of all."""
    receipts, first = [], 0
    for delivery, translation in zip(deliveries, translations, strict=True):
        end = first + len(translation.events)
        rejected: list[Rejection] = [
            {**rejection, "index": rejection["index"] - first}
            for rejection in outcome.rejected
            if first <= rejection["index"] < end
        ]
        own_outcome = BatchOutcome(0, 0, rejected, {})
        receipts.append(Receipt(delivery.id, build_result(translation, own_outcome), own_outcome))
        first = end
    if len(receipts) == 1:
        receipts = [receipts[0]._replace(outcome=outcome)]
    return receipts


def build_result(translation: Translation, outcome: BatchOutcome) -> DeliveryResult:
    """Return what became of a delivery."""
    indexes = {rejection["index"] for rejection in outcome.rejected}
    reasons = [
        *translation.reasons,
        *(
            {"code": own["code"], "detail": own["detail"], "event": own["id"], "pointer": own["pointer"]}
            for own in outcome.rejected
        ),
    ]
    reasons = [{name: _clean(value) for name, value in own.items()} for own in reasons]
    if len(reasons) > MAX_REASONS:
        rest = len(reasons) - MAX_REASONS
        reasons = [*reasons[:MAX_REASONS], {"code": "too_many_faults", "detail": f"There are {rest:,} more reasons."}]
    events = [
        _key(event)
        for index, event in enumerate(translation.events)
        if index not in indexes and isinstance(event, dict)
    ]
    status: Status = "accepted" if events else "ignored"
    return DeliveryResult("rejected" if indexes or translation.is_failed else status, reasons, events)


def _clean(value: Any) -> Any:
    """Return a part of a reason as it can be stored and read: it may have parts of the payload, which can be anything."""
    return value.replace("\0", "\ufffd")[:_MAX_REASON_LENGTH] if isinstance(value, str) else None


def _key(event: Mapping[str, Any]) -> tuple[int, str]:
    """Return the account_id and the id of an event that was accepted, as they are stored."""
    account = event.get("account_id")
    return account_key(normalize_id(account)) if account else WHOLE_BUSINESS, normalize_id(event["id"])


async def preview(
    books: Books, source: DeliverySource, request: SignedRequest, *, max_bytes: int
) -> tuple[RawDelivery, Translation, BatchOutcome]:
    """Return what a request would become, without verifying and storing it."""
    [whole] = await complete_deliveries(source, [read_delivery(books, source, request, max_bytes=max_bytes)])
    [delivery], _ = await place_deliveries(books, source.id, source.vendor, [whole.delivery])
    translation = translate(books, source, delivery, whole.error)
    outcome = await preview_events(books, translation.events, PreviewState())
    return delivery, translation, outcome
