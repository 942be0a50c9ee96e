"""Complete deliveries that only name what happened, by the API of their vendor, if the source has a key of it."""

import asyncio
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from app.core.errors import Problem
from app.inbound.deliveries import RawDelivery
from app.inbound.fetch import VendorApi
from app.inbound.sources import DeliverySource
from app.ingest.payload import Untranslatable

_AT_ONCE = 8


class CompleteDelivery(NamedTuple):
    """A delivery with what was read for it. error: why something could not be read; then the delivery is as received."""

    delivery: RawDelivery
    error: Problem | Untranslatable | None = None


async def complete_deliveries(source: DeliverySource, deliveries: Sequence[RawDelivery]) -> list[CompleteDelivery]:
    """Return the deliveries, each with what it only named. Of most, nothing is missing."""
    completion, key = source.vendor.completion, source.api_key
    if completion is None or key is None:
        return [CompleteDelivery(own) for own in deliveries]
    api, limit = VendorApi(completion.url, key, source.vendor.title), asyncio.Semaphore(_AT_ONCE)

    async def complete_one(delivery: RawDelivery) -> CompleteDelivery:
        try:
            async with limit:
                whole = await completion.complete(source.vendor.parse(delivery.body), api, source.options)
        except (Problem, Untranslatable) as error:
            return CompleteDelivery(delivery, error)
        if whole is None:
            return CompleteDelivery(delivery)
        return CompleteDelivery(delivery._replace(body=json.dumps(whole, default=_write_number).encode()))

    return await asyncio.gather(*map(complete_one, deliveries))


def _write_number(number: Decimal) -> float | str:
    """Return a decimal as JSON has numbers; as a text if it is too large for one, so that the rest can be read."""
    value = float(number)
    return value if math.isfinite(value) else str(number)
