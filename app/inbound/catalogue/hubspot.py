"""HubSpot: properties of companies."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.core.ids import Id
from app.inbound.define import Context, Failure, Ignored, Part, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.payload import Fields, Untranslatable
from app.inbound.schemes import Hmac, url_and_body

# The type of companies where a payload names types of objects by number.
_COMPANY = "0-2"


class HubSpotOptions(BaseModel):
    """Which properties are numbers: HubSpot sends all of them as texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    numbers: Annotated[list[Id], Field(max_length=100)] = Field(
        default_factory=list, description="The properties that are numbers, such as `numberofemployees`."
    )


@vendor(
    title="HubSpot",
    scheme=Hmac(
        "X-HubSpot-Signature-v3",
        encoding="base64",
        time_header="X-HubSpot-Request-Timestamp",
        time_form="milliseconds",
        content=url_and_body,
        contents="method, URL, body and time",
    ),
    documentation="https://developers.hubspot.com/docs/api/webhooks",
    options=HubSpotOptions,
    mapping=PersonMapping,
    find_id=lambda payload, headers: None,
    becomes=(
        ("`company.propertyChange`", "`account.updated` with the property as an attribute; `name` is the name"),
        ("`object.propertyChange` of companies", "the same"),
    ),
    example=[
        {
            "eventId": 3816279340,
            "subscriptionId": 25,
            "portalId": 33,
            "appId": 1160452,
            "occurredAt": 1773480600123,
            "subscriptionType": "company.propertyChange",
            "attemptNumber": 0,
            "objectId": 1246965,
            "propertyName": "industry",
            "propertyValue": "SOFTWARE",
            "changeSource": "CRM_UI",
        }
    ],
)
def hubspot(payload: Any, context: Context) -> Iterator[Part]:
    """A delivery has up to 100 changes. The account is the id of the company, unless the mapping has `account_id`. An empty value
    ends the attribute.

    HubSpot signs the URL that it calls: set `PUBLIC_URL` to what is configured there. Deals and contacts do not say to which
    company they belong, and count nothing.
    """
    for change in Fields({"changes": payload}).objects("changes"):
        try:
            yield _translate(change, context)
        except Untranslatable as error:
            yield Failure(str(error))


def _translate(change: Fields, context: Context) -> Part:
    kind = change.text("subscriptionType")
    is_company = kind == "company.propertyChange" or (
        kind == "object.propertyChange" and change.find("objectTypeId") == _COMPANY
    )
    if not is_company:
        return Ignored("Only properties of companies are counted.")
    name = change.text("propertyName")
    value: Any = change.find("propertyValue")
    if name in context.options.numbers and value not in (None, ""):
        value = change.number("propertyValue")
    value = None if value == "" else value
    data = {"name": value} if name == "name" and value else {"attributes": {name: value}}
    return context.event(
        "account.updated",
        id=f"{change.text('portalId')}:{change.text('eventId')}:{change.text('objectId')}:{name}",
        account=context.account(change, change, change.text("objectId")),
        at=change.time("occurredAt"),
        data=data,
    )
