"""The proof of the books: nobody changes a number unnoticed."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from app.database.tables import account, attribute, entry, grand_total, presence, registration, total
from app.database.tables import event as event_table
from tests.support.service import Service, event, moved, session

KEY = [column.name for column in entry.c]
TAMPERINGS = {
    "an entry is changed": sa.update(entry).values(value=entry.c.value + 1),
    "an entry is gone": sa.delete(entry).where(entry.c.effective_on == date(2026, 3, 9)),
    "an entry is put on another day": sa.update(entry).values(effective_on=entry.c.effective_on - 1),
    "an entry was known earlier": sa.update(entry).values(recorded_on=entry.c.recorded_on - 1),
    "an entry is made up": sa.insert(entry).from_select(
        KEY,
        sa.select(*(entry.c[name] + (10 if name == "effective_on" else 0) for name in KEY)),
    ),
    "an entry is given to nobody": sa.update(entry).values(account_id=entry.c.account_id + 1),
    "a total is changed": sa.update(total).values(m03=total.c.m03 + 1),
    "a total is put in another month": sa.update(total).values(m03=total.c.m04, m04=total.c.m03),
    "a total is gone": sa.delete(total),
    "a total is given to nobody": sa.update(total).values(account_id=total.c.account_id + 1),
    "a grand total is changed": sa.update(grand_total).values(m03=grand_total.c.m03 + 1),
    "a grand total is gone": sa.delete(grand_total),
    "a grand total is made up": sa.insert(grand_total).from_select(
        [column.name for column in grand_total.c],
        sa.select(*(column + 1 if column.name == "year" else column for column in grand_total.c)),
    ),
    "an attribute has another value": sa.update(attribute).values(value="free"),
    "an attribute has almost the same value": sa.update(attribute).where(attribute.c.key == "vip").values(value=True),
    "an attribute is gone": sa.delete(attribute).where(attribute.c.key == "plan"),
    "an attribute was valid earlier": sa.update(attribute).values(valid_to=attribute.c.valid_to - 1),
    "an attribute was known earlier": sa.update(attribute).values(recorded_on=attribute.c.recorded_on - 1),
    "an attribute is given to nobody": sa.update(attribute).values(account_id=attribute.c.account_id + 1),
    "an entry is of no word": sa.update(entry).values(measure=entry.c.measure + 1_000_000),
    "a day of presence is gone": sa.update(presence).values(m03=0),
    "a day of presence is made up": sa.update(presence).values(m04=1),
    "presence was known earlier": sa.update(presence).values(recorded_on=presence.c.recorded_on - 1),
    "presence has ceased": sa.update(presence).values(ceased_on=presence.c.recorded_on),
    "presence is given to nobody": sa.update(presence).values(account_id=presence.c.account_id + 1),
    "a registration began earlier": sa.update(registration).values(since=registration.c.since - 1),
    "a registration is gone": sa.delete(registration),
    "a registration is given to nobody": sa.update(registration).values(account_id=registration.c.account_id + 1),
    "an event has left its stream": sa.update(event_table).values(stream=None),
    "an account is gone": sa.delete(account),
}


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS)
def test_verify_finds_that(service: Service, tampering: Any) -> None:
    service.send(
        session(at="2026-03-09"),
        event("ticket.opened", at="2026-03-10", ticket_id="1", channel="email"),
        moved(at="2026-02-01", plan="pro", vip=1),
        moved(at="2026-03-01", plan="team"),
        event("subscription.changed", at="2026-03-10", subscription_id="one", mrr="10"),
    )
    assert service.differences() == []
    service.run(service.books.database.write(lambda connection: connection.execute(tampering)))
    assert service.differences() != []
