"""Event types about accounts and their users."""

from typing import Annotated, Any

from pydantic import Field
from pydantic_core import PydanticCustomError
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Attributes, Id
from app.ledger.streams import registration


def _check_single_name(data: Any) -> Any:
    if "name" in data and "name" in data.get("attributes", {}):
        raise PydanticCustomError("two_names", '"name" and the attribute "name" are the same. Send one of them.')
    return data


@event(
    "account.updated",
    check=_check_single_name,
    example={"name": "Acme", "attributes": {"plan": "pro", "region": "emea", "seats": 40}},
)
class AccountUpdated(Data):
    """An account got a name or attributes, such as its plan or region.

    The values hold from `occurred_at` on and replace earlier values of the same attributes. Attributes that are left out keep
    their values. The value null ends an attribute. The first value of an attribute also counts for the time before it.

    Filters, segments and `group_by` use the attributes. The event itself counts in no metric. Events may arrive in any order.
    If two events set the same attribute at the same instant, the event with the larger id counts.
    """

    name: NotRequired[
        Annotated[Id, Field(description="Name of the account, 1–128 characters. Stored as the attribute `name`.")]
    ]
    attributes: NotRequired[
        Annotated[
            Attributes,
            Field(
                description="Attributes by name, at most 100. Values: text (at most 1,024 characters), number, true, false, "
                "or null to end the attribute."
            ),
        ]
    ]


@event("user.registered", user=True, example={}, stream=registration.stream_name)
class UserRegistered(Data):
    """A person became a user of the account.

    The user counts as registered (`registered_users`) from this day until `user.removed`. A user who is active earlier counts
    as registered from the first activity, even without this event. Registering a registered user changes nothing.
    """


@event("user.removed", user=True, rank=1, example={}, stream=registration.stream_name)
class UserRemoved(Data):
    """A person stopped being a user of the account.

    At the end of this day the user no longer counts as registered. Activity or `user.registered` after the removal registers
    the user again; if that is on the same day, the registration is not interrupted. Removing a user who is not registered
    changes nothing. If a user is active or registered and removed at the same instant, the removal counts as the last event.
    """
