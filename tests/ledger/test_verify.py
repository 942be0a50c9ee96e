"""Verify finds every change of the data that is derived from the events."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from app.database.tables import account, attribute, entry, grand_total, presence, registration, total
from app.database.tables import event as event_table
from tests.support.service import Service, account_update, event, session

KEY = [column.name for column in entry.c]
TAMPERINGS = {
    "an entry is changed": sa.update(entry).values(value=entry.c.value + 1),
    "an entry is missing": sa.delete(entry).where(entry.c.effective_on == date(2026, 3, 9)),
    "an entry is on another day": sa.update(entry).values(effective_on=entry.c.effective_on - 1),
    "an entry was recorded earlier": sa.update(entry).values(recorded_on=entry.c.recorded_on - 1),
    "an entry is invented": sa.insert(entry).from_select(
        KEY,
        sa.select(*(entry.c[name] + (10 if name == "effective_on" else 0) for name in KEY)),
    ),
    "an entry has no account": sa.update(entry).values(account_id=entry.c.account_id + 1),
    "a total is changed": sa.update(total).values(m03=total.c.m03 + 1),
    "a total is in another month": sa.update(total).values(m03=total.c.m04, m04=total.c.m03),
    "a total is missing": sa.delete(total),
    "a total has no account": sa.update(total).values(account_id=total.c.account_id + 1),
    "a grand total is changed": sa.update(grand_total).values(m03=grand_total.c.m03 + 1),
    "a grand total is missing": sa.delete(grand_total),
    "a grand total is invented": sa.insert(grand_total).from_select(
        [column.name for column in grand_total.c],
        sa.select(*(column + 1 if column.name == "year" else column for column in grand_total.c)),
    ),
    "an attribute has another value": sa.update(attribute).values(value="free"),
    "an attribute has almost the same value": sa.update(attribute).where(attribute.c.key == "vip").values(value=True),
    "an attribute is missing": sa.delete(attribute).where(attribute.c.key == "plan"),
    "an attribute was valid earlier": sa.update(attribute).values(valid_to=attribute.c.valid_to - 1),
    "an attribute was recorded earlier": sa.update(attribute).values(recorded_on=attribute.c.recorded_on - 1),
    "an attribute has no account": sa.update(attribute).values(account_id=attribute.c.account_id + 1),
    "an entry has no label": sa.update(entry).values(measure=entry.c.measure + 1_000_000),
    "a day of presence is missing": sa.update(presence).values(m03=0),
    "a day of presence is invented": sa.update(presence).values(m04=1),
    "presence was recorded earlier": sa.update(presence).values(recorded_on=presence.c.recorded_on - 1),
    "presence has ceased": sa.update(presence).values(ceased_on=presence.c.recorded_on),
    "presence has no account": sa.update(presence).values(account_id=presence.c.account_id + 1),
    "a registration began earlier": sa.update(registration).values(since=registration.c.since - 1),
    "a registration is missing": sa.delete(registration),
    "a registration has no account": sa.update(registration).values(account_id=registration.c.account_id + 1),
    "an event has left its stream": sa.update(event_table).values(stream=None),
    "an account is missing": sa.delete(account),
}


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS)
def test_verify_finds_every_change_of_derived_data(service: Service, tampering: Any) -> None:
    service.send(
        session(at="2026-03-09"),
        event("ticket.opened", at="2026-03-10", ticket_id="1", channel="email"),
        account_update(at="2026-02-01", plan="pro", vip=1),
        account_update(at="2026-03-01", plan="team"),
        event("subscription.changed", at="2026-03-10", subscription_id="one", mrr="10"),
    )
    assert service.differences() == []
    service.run(service.books.database.write(lambda connection: connection.execute(tampering)))
    assert service.differences() != []
