"""Salesforce: Outbound Messages (SOAP), and HTTP callouts of a Flow."""

from collections.abc import Iterator
from typing import Annotated, Any
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Malformed
from app.core.ids import Id
from app.http.encoding import parse_json
from app.inbound.define import Context, Failure, Part, Reply, vendor
from app.inbound.mapping import EventMapping, map_events
from app.inbound.schemes import FirstOf, SecretHeader, SecretInUrl
from app.ingest.payload import Fields, Ignored, Untranslatable

_NAMESPACE = "http://soap.sforce.com/2005/09/outbound"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_ACKNOWLEDGEMENT = f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>\
<notificationsResponse xmlns="{_NAMESPACE}"><Ack>true</Ack></notificationsResponse>\
</soapenv:Body></soapenv:Envelope>""".encode()
_EXAMPLE = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound">
<OrganizationId>00D000000000001</OrganizationId><ActionId>04k000000000001</ActionId><SessionId xsi:nil="true"/>
<Notification><Id>04l000000000001</Id>
<sObject xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
<sf:Id>001000000000001</sf:Id><sf:Industry>Energy</sf:Industry><sf:Name>Acme</sf:Name>
<sf:SystemModstamp>2026-03-14T10:00:00.000Z</sf:SystemModstamp>
</sObject></Notification></notifications></soapenv:Body></soapenv:Envelope>"""
_TIMES = ("SystemModstamp", "LastModifiedDate")
_MAX_ATTRIBUTES = 100


class SalesforceOptions(BaseModel):
    """Which organization may send, and which fields are numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)

    organization_id: str | None = Field(
        None, min_length=15, max_length=18, description="Only messages of this organization are translated."
    )
    numbers: Annotated[list[Id], Field(max_length=100)] = Field(
        default_factory=list, description="The fields that are numbers: an Outbound Message has texts only."
    )


def is_soap(body: bytes) -> bool:
    """Return whether a body is an Outbound Message; else it is the JSON of a callout."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def parse_message(body: bytes) -> Any:
    """Return the JSON of a callout, or an Outbound Message as an object. Raises Malformed."""
    if not is_soap(body):
        return parse_json(body)
    try:
        # As a text, so that the parser reads the same characters as the check below, whatever encoding the XML says.
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Malformed("The XML is not UTF-8.", code="malformed") from None
    # Without declarations, there are no entities that could grow or be loaded.
    if "<!" in text.replace("<![CDATA[", ""):
        raise Malformed("The XML must not have declarations.", code="malformed")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError):
        raise Malformed("The body is not well-formed XML.", code="malformed") from None
    message = root.find(f".//{{{_NAMESPACE}}}notifications")
    if message is None:
        raise Malformed("The XML is not an Outbound Message of Salesforce.", code="malformed")
    return {
        "OrganizationId": message.findtext(f"{{{_NAMESPACE}}}OrganizationId"),
        "Notifications": [_parse_notification(own) for own in message.iterfind(f"{{{_NAMESPACE}}}Notification")],
    }


def _parse_notification(notification: ElementTree.Element) -> dict[str, Any]:
    record = notification.find(f"{{{_NAMESPACE}}}sObject")
    fields = {own.tag.rpartition("}")[2]: own.text for own in record} if record is not None else {}
    type = record.get(_TYPE, "").rpartition(":")[2] if record is not None else ""
    return {"Id": notification.findtext(f"{{{_NAMESPACE}}}Id"), "Type": type, "sObject": fields}


@vendor(
    title="Salesforce",
    scheme=FirstOf((SecretHeader("X-Csm-Secret"), SecretInUrl())),
    documentation="https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging.htm",
    options=SalesforceOptions,
    mapping=EventMapping,
    parse=parse_message,
    find_id=lambda payload, headers: None,
    reply=lambda body: Reply(_ACKNOWLEDGEMENT, "text/xml") if is_soap(body) else None,
    becomes=(
        ("a notification about an Account", "`account.updated` with `Name` and its other fields as attributes"),
        ("with a mapping: a notification, or the JSON of a callout", "the events of its rules"),
    ),
    example=_EXAMPLE.encode(),
)
def salesforce(payload: Any, context: Context) -> Iterator[Part]:
    """An Outbound Message needs the field `SystemModstamp` or `LastModifiedDate`, which orders the states of a record: Salesforce
    sends them in any order. It is acknowledged as soon as it is kept. The account is the `Id` of the record.

    With a mapping, `payload` is `{OrganizationId, Notifications: [{Id, Type, sObject}]}`, or the JSON that a Flow sends. Outbound
    Messages carry no signature and no headers: the secret stands in the URL. A Flow can send the header `X-Csm-Secret`.
    """
    message = Fields(payload)
    organization = context.options.organization_id
    if organization is not None and (message.find_text("OrganizationId") or "")[:15] != organization[:15]:
        raise Untranslatable("The message is not of the organization of the option `organization_id`.")
    if context.mapping is not None:
        yield from map_events(payload, context)
        return
    if "Notifications" not in message:
        raise Untranslatable("The JSON of a callout needs a mapping.")
    for notification in message.objects("Notifications"):
        try:
            yield _translate(notification, context)
        except Untranslatable as error:
            yield Failure(str(error))


def _translate(notification: Fields, context: Context) -> Part:
    if notification.find("Type") != "Account":
        return Ignored("Without a mapping, only Accounts are counted.")
    record = notification.object("sObject")
    at = next((time for name in _TIMES if (time := record.find_time(name)) is not None), None)
    if at is None:
        raise Untranslatable("Add the field SystemModstamp to the message: it says which state is the latest.")
    attributes = {
        name: record.number(name) if name in context.options.numbers and value else value
        for name, value in record.raw.items()
        if name not in ("Id", "Name", *_TIMES)
    }
    return context.event(
        "account.updated",
        id=notification.text("Id"),
        account=record.text("Id"),
        at=at,
        data={
            "name": record.find_text("Name"),
            "attributes": dict(list(attributes.items())[:_MAX_ATTRIBUTES]) or None,
        },
    )
