"""HubSpot: properties of companies, deals and contacts.

Sources: developers.hubspot.com, "Webhooks API" (payloads, types of objects), "Validating requests" (signature v3), and
"Associations, batch read" of the dated API 2026-03. The SDK `hubspot-api-client` signs in the tests.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.core.ids import Id
from app.inbound.define import Completion, Context, Failure, Part, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import Hmac, url_and_body
from app.ingest.payload import Fields, Ignored, Untranslatable, text_of

if TYPE_CHECKING:
    from app.inbound.fetch import VendorApi

# The types of objects by the numbers that a payload may have.
_OBJECTS = {"0-1": "contact", "0-2": "company", "0-3": "deal"}
_ASSOCIATIONS = "/crm/associations/2026-03/{}/companies/batch/read"
_PATHS = {"deal": _ASSOCIATIONS.format("deals"), "contact": _ASSOCIATIONS.format("contacts")}
# From a contact and from a deal to its primary company.
_PRIMARY = (1, 5)
# Where the answer about a deal or contact is added to its change.
_COMPANY = "companyId"
_GOAL = "deal"
_Names = Annotated[list[Id], Field(max_length=100)]


class HubSpotOptions(BaseModel):
    """Which properties count, and which are numbers: HubSpot sends all of them as texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    numbers: _Names = Field(
        default_factory=list, description="The properties that are numbers, such as `numberofemployees`."
    )
    deal_attributes: _Names = Field(
        default_factory=list,
        description="The properties of deals that become attributes: `amount` becomes `deal_amount`.",
    )
    contact_attributes: _Names = Field(
        default_factory=list,
        description="The properties of contacts that become attributes: `jobtitle` becomes `contact_jobtitle`. The latest change "
        "counts, whichever contact of the company it is.",
    )
    won_stages: _Names = Field(
        default_factory=lambda: ["closedwon"], description="The deal stages that say that a deal is won."
    )


def _read_change(change: Any, options: HubSpotOptions) -> tuple[str, str, str]:
    """Return the object that a change is about, what happened to it, and the property; empty where it counts nothing."""
    kind = text_of(change.get("subscriptionType")) or ""
    subject, _, action = kind.partition(".")
    subject = _OBJECTS.get(str(change.get("objectTypeId")), "") if subject == "object" else subject
    name = text_of(change.get("propertyName")) or ""
    counts = {
        "company": action == "propertyChange",
        "contact": action == "propertyChange" and name in options.contact_attributes,
        "deal": action == "creation"
        or (action == "propertyChange" and (name in options.deal_attributes or _is_won(name, change, options))),
    }
    return (subject, action, name) if counts.get(subject) else ("", "", "")


def _is_won(name: str, change: Any, options: HubSpotOptions) -> bool:
    value = change.get("propertyValue")
    return (name == "hs_is_closed_won" and value == "true") or (name == "dealstage" and value in options.won_stages)


async def _complete(payload: Any, api: "VendorApi", options: HubSpotOptions) -> Any:
    """Add to the changes of deals and contacts the id of their company, one request for all of a kind."""
    if not isinstance(payload, list):
        return None
    is_complete = True
    for subject, path in _PATHS.items():
        changes = [
            own
            for own in payload
            if isinstance(own, dict) and _read_change(own, options)[0] == subject and _COMPANY not in own
        ]
        ids = sorted({id for own in changes if (id := text_of(own.get("objectId")))})
        if not ids:
            continue
        companies = _read_companies(await api.post(path, {"inputs": [{"id": id} for id in ids]}))
        for own in changes:
            own[_COMPANY] = companies.get(text_of(own.get("objectId")) or "")
        is_complete = False
    return None if is_complete else payload


def _read_companies(answer: Any) -> dict[str, str]:
    """Return the company of each object, the primary one if it has several."""
    companies: dict[str, str] = {}
    for result in Fields(answer).objects("results"):
        targets = list(result.objects("to"))
        primary = [
            own for own in targets if any(type.find("typeId") in _PRIMARY for type in own.objects("associationTypes"))
        ]
        if targets:
            companies[result.text("from", "id")] = (primary or targets)[0].text("toObjectId")
    return companies


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
    completion=Completion("https://api.hubapi.com", _complete),
    becomes=(
        ("`company.propertyChange`", "`account.updated` with the property as an attribute; `name` is the name"),
        ("`deal.creation`", "`goal.entered` for the goal `deal`"),
        (
            "`deal.propertyChange` of `dealstage` to one of `won_stages`, or of `hs_is_closed_won` to true",
            "`goal.completed`",
        ),
        (
            "`deal.propertyChange`, `contact.propertyChange` of a property that the options name",
            "`account.updated` with the attribute `deal_…` or `contact_…`",
        ),
        ("`object.…` of companies, deals and contacts", "the same"),
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
    ends the attribute. The share of deals that are won is `conversion_rate` with the subject `deal`.

    HubSpot signs the URL that it calls: set `PUBLIC_URL` to what is configured there. Changes of deals and contacts do not say
    which company they belong to; with an `api_key` (the token of a private app that may read companies, deals and contacts) it is
    read from HubSpot, and is `item.companyId` in a mapping.

    The webhooks journal, which an app polls instead, is not read: it cannot be tried without an app at HubSpot.
    """
    for change in Fields({"changes": payload}).objects("changes"):
        try:
            yield _translate(change, context)
        except Untranslatable as error:
            yield Failure(str(error))


def _translate(change: Fields, context: Context) -> Part:
    subject, action, name = _read_change(change.raw, context.options)
    if not subject:
        return Ignored("Changes of this kind count nothing.")
    company = change.find_text("objectId") if subject == "company" else change.find_text(_COMPANY)
    if company is None and "account_id" not in (context.mapping or {}):
        reason = (
            "has no company" if _COMPANY in change.raw else "does not say its company. Give the source an `api_key`"
        )
        raise Untranslatable(f"The {subject} {reason}.")
    account, at = context.account(change, change, company), change.time("occurredAt")
    id = f"{change.text('portalId')}:{change.text('eventId')}:{change.text('objectId')}:{name}"
    is_won = subject == "deal" and action == "propertyChange" and _is_won(name, change.raw, context.options)
    if subject == "deal" and (is_won or action == "creation"):
        data = {"goal": _GOAL, "who": f"deal {change.text('objectId')}"}
        type = "goal.completed" if is_won else "goal.entered"
        return context.event(type, id=id, account=account, at=at, data=data)
    data = _read_property(change, name, prefix="" if subject == "company" else f"{subject}_", context=context)
    return context.event("account.updated", id=id, account=account, at=at, data=data)


def _read_property(change: Fields, name: str, *, prefix: str, context: Context) -> dict[str, Any]:
    if not name:
        raise Untranslatable(f"{change.pointer}/propertyName must be a text.")
    value: Any = change.find("propertyValue")
    if name in context.options.numbers and value not in (None, ""):
        value = change.number("propertyValue")
    value = None if value == "" else value
    return {"name": value} if name == "name" and not prefix and value else {"attributes": {prefix + name: value}}
