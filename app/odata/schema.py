"""The schema of the service: `$metadata` as XML (EDMX 4.0) and as JSON (CSDL JSON 4.01)."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from app.odata.expressions import FUNCTIONS
from app.odata.model import EntitySet, Property

NAMESPACE = "CustomerSuccessMetrics"
CONTAINER = "Service"
_EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"
_VOCABULARIES = {
    "Core": ("Org.OData.Core.V1", "https://oasis-tcs.github.io/odata-vocabularies/vocabularies/Org.OData.Core.V1"),
    "Capabilities": (
        "Org.OData.Capabilities.V1",
        "https://oasis-tcs.github.io/odata-vocabularies/vocabularies/Org.OData.Capabilities.V1",
    ),
}
# Attributes of properties by type.
_FACETS: dict[str, dict[str, str]] = {"decimal": {"Scale": "variable"}, "time": {"Precision": "6"}}

# Entity sets with all their properties.
Sets = Sequence[tuple[EntitySet, Sequence[Property]]]


def metadata_xml(sets: Sets) -> bytes:
    """Return the schema as XML."""
    register_namespace("edmx", _EDMX)
    register_namespace("", _EDM)
    root = Element(f"{{{_EDMX}}}Edmx", Version="4.0")
    for alias, (namespace, url) in _VOCABULARIES.items():
        reference = SubElement(root, f"{{{_EDMX}}}Reference", Uri=f"{url}.xml")
        SubElement(reference, f"{{{_EDMX}}}Include", Namespace=namespace, Alias=alias)
    services = SubElement(root, f"{{{_EDMX}}}DataServices")
    schema = SubElement(services, _tag("Schema"), Namespace=NAMESPACE)
    for entity_set, properties in sets:
        _add_type(schema, entity_set, properties)
    container = SubElement(schema, _tag("EntityContainer"), Name=CONTAINER)
    for entity_set, properties in sets:
        element = SubElement(
            container, _tag("EntitySet"), Name=entity_set.name, EntityType=f"{NAMESPACE}.{entity_set.entity_type}"
        )
        _describe(element, entity_set.description)
        _add_capabilities(element, properties)
    functions = SubElement(container, _tag("Annotation"), Term="Capabilities.FilterFunctions")
    collection = SubElement(functions, _tag("Collection"))
    for name in FUNCTIONS:
        SubElement(collection, _tag("String")).text = name
    content: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _tag(name: str) -> str:
    return f"{{{_EDM}}}{name}"


def _add_type(schema: Element, entity_set: EntitySet, properties: Sequence[Property]) -> None:
    element = SubElement(schema, _tag("EntityType"), Name=entity_set.entity_type)
    key = SubElement(element, _tag("Key"))
    for name in entity_set.key:
        SubElement(key, _tag("PropertyRef"), Name=name)
    for own in properties:
        facets = dict(_FACETS.get(own.type, {})) | ({} if own.nullable else {"Nullable": "false"})
        _describe(
            SubElement(element, _tag("Property"), {"Name": own.name, "Type": own.edm_type, **facets}), own.description
        )


def _describe(element: Element, text: str) -> None:
    SubElement(element, _tag("Annotation"), Term="Core.Description", String=text)


def _add_capabilities(element: Element, properties: Sequence[Property]) -> None:
    """Say what a client need not try."""
    for term, member in _UNSUPPORTED.items():
        record = SubElement(SubElement(element, _tag("Annotation"), Term=term), _tag("Record"))
        SubElement(record, _tag("PropertyValue"), Property=member, Bool="false")
    names = [own.name for own in properties if not own.is_filterable]
    for term, member in _EXCEPTIONS.items() if names else ():
        record = SubElement(SubElement(element, _tag("Annotation"), Term=term), _tag("Record"))
        value = SubElement(record, _tag("PropertyValue"), Property=member)
        paths = SubElement(value, _tag("Collection"))
        for name in names:
            SubElement(paths, _tag("PropertyPath")).text = name


_UNSUPPORTED = {
    "Capabilities.SearchRestrictions": "Searchable",
    "Capabilities.ExpandRestrictions": "Expandable",
    "Capabilities.InsertRestrictions": "Insertable",
    "Capabilities.UpdateRestrictions": "Updatable",
    "Capabilities.DeleteRestrictions": "Deletable",
}
_EXCEPTIONS = {
    "Capabilities.FilterRestrictions": "NonFilterableProperties",
    "Capabilities.SortRestrictions": "NonSortableProperties",
}


def metadata_json(sets: Sets) -> dict[str, Any]:
    """Return the schema as JSON."""
    references = {
        f"{url}.json": {"$Include": [{"$Namespace": namespace, "$Alias": alias}]}
        for alias, (namespace, url) in _VOCABULARIES.items()
    }
    types = {entity_set.entity_type: _type_json(entity_set, properties) for entity_set, properties in sets}
    container: dict[str, Any] = {"$Kind": "EntityContainer", "@Capabilities.FilterFunctions": [*FUNCTIONS]}
    container |= {entity_set.name: _set_json(entity_set, properties) for entity_set, properties in sets}
    return {
        "$Version": "4.01",
        "$EntityContainer": f"{NAMESPACE}.{CONTAINER}",
        "$Reference": references,
        NAMESPACE: types | {CONTAINER: container},
    }


def _type_json(entity_set: EntitySet, properties: Sequence[Property]) -> dict[str, Any]:
    return {"$Kind": "EntityType", "$Key": [*entity_set.key]} | {own.name: _property_json(own) for own in properties}


def _property_json(own: Property) -> Mapping[str, Any]:
    members: dict[str, Any] = {} if own.type == "text" else {"$Type": own.edm_type}
    facets: dict[str, dict[str, Any]] = {"decimal": {"$Scale": "variable"}, "time": {"$Precision": 6}}
    members |= facets.get(own.type, {})
    members |= {"$Nullable": True} if own.nullable else {}
    return members | {"@Core.Description": own.description}


def _set_json(entity_set: EntitySet, properties: Sequence[Property]) -> dict[str, Any]:
    members: dict[str, Any] = {
        "$Collection": True,
        "$Type": f"{NAMESPACE}.{entity_set.entity_type}",
        "@Core.Description": entity_set.description,
    }
    members |= {f"@{term}": {member: False} for term, member in _UNSUPPORTED.items()}
    names = [own.name for own in properties if not own.is_filterable]
    return members | ({f"@{term}": {member: names} for term, member in _EXCEPTIONS.items()} if names else {})
