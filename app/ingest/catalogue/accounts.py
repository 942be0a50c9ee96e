"""Accounts and the people in them."""

from typing import Annotated, Any

from pydantic import Field
from pydantic_core import PydanticCustomError
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Attributes, Id
from app.ledger.streams import registration


def _one_name(data: Any) -> Any:
    if "name" in data and "name" in data.get("attributes", {}):
        raise PydanticCustomError("two_names", "`name` is the attribute `name`: it is given once.")
    return data


@event(
    "account.updated",
    check=_one_name,
    example={"name": "Acme", "attributes": {"plan": "pro", "region": "emea", "seats": 40}},
)
class AccountUpdated(Data):
    """An account has a name or attributes from this moment on; null ends an attribute."""

    name: NotRequired[Annotated[Id, Field(description="Kept as the attribute `name`.")]]
    attributes: NotRequired[Attributes]


@event("user.registered", user=True, example={}, stream=registration.stream_name)
class UserRegistered(Data):
    """A person became a user of the account."""


@event("user.removed", user=True, rank=1, example={}, stream=registration.stream_name)
class UserRemoved(Data):
    """A person is no longer a user of the account."""
