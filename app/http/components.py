"""Give every object and every vocabulary in the OpenAPI document a component of its own, as generators of clients need it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from json import dumps
from typing import Any

from app.http.openapi import component
from app.http.vocabularies import VOCABULARIES, VOCABULARY

Schema = Mapping[str, Any]

# What a schema may have beside a reference.
_ANNOTATIONS = ("description", "default", "examples", "deprecated")
# What tells which names a text can be so far, where a later version may have more: the word of Zalando's guidelines.
OPEN_ENUM = "x-extensible-enum"
_SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")


def build_components(schemas: Schema, operations: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the component schemas, and let the operations refer to them.

    schemas: the components as they are declared. Raises ValueError for an object without a name, and for two different ones with
    the same name.
    """
    operations = list(operations)
    vocabularies = {name: {"type": "string", "enum": [*own.list_names()]} for name, own in VOCABULARIES.items()}
    names = {tuple(own["enum"]): name for name, own in vocabularies.items()}
    naming = _Naming(names)
    for name, schema in schemas.items():
        naming.add(name, naming.rewrite(schema, location=name, is_named=True))
    for operation in operations:
        for holder in _holders(operation):
            holder["schema"] = naming.rewrite(holder["schema"], location=operation.get("operationId", ""))
    result = naming.components | {
        name: own | {"title": name, "description": VOCABULARIES[name].description} for name, own in vocabularies.items()
    }
    for name in result.keys() - _reachable(result, operations, "parameters", "requestBody") - vocabularies.keys():
        result[name] = _open(result[name], vocabularies)
    for operation in operations:
        for holder in _media(operation["responses"]):
            holder["schema"] = _open(holder["schema"], vocabularies)
    _require_discriminators(result)
    used = _reachable(result, operations, "parameters", "requestBody", "responses") | vocabularies.keys()
    # Sorted, so that the document does not depend on the order of imports.
    return {name: result[name] for name in sorted(result) if name in used}


def _require_discriminators(components: dict[str, Any]) -> None:
    """Require the member that says which of several schemas an object has, also where a default would do for one of them."""
    for schema in [*components.values()]:
        for option in schema.get("oneOf", ()) if "discriminator" in schema else ():
            name = option["$ref"].rpartition("/")[2]
            required = {*components[name].get("required", ()), schema["discriminator"]["propertyName"]}
            components[name] = components[name] | {"required": sorted(required)}


def _holders(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what has a member `schema` in an operation."""
    yield from operation.get("parameters", ())
    yield from (media for media in operation.get("requestBody", {}).get("content", {}).values() if "schema" in media)
    yield from _media(operation["responses"])


def _media(responses: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for response in responses.values():
        yield from (media for media in response.get("content", {}).values() if "schema" in media)


class _Naming:
    """Makes components of objects with names. vocabularies: the name of the vocabulary that has these names."""

    def __init__(self, vocabularies: Mapping[tuple[str, ...], str]) -> None:
        self.components: dict[str, Any] = {}
        self._vocabularies = vocabularies

    def add(self, name: str, schema: Schema) -> None:
        """Add a component. Raises ValueError for another one with its name."""
        if self.components.setdefault(name, schema) != schema:
            raise ValueError(f"Two different schemas have the name {name}.")

    def rewrite(self, schema: Schema, *, location: str, is_named: bool = False) -> dict[str, Any]:
        """Return a schema with references to components instead of objects and vocabularies.

        location: where it is, for errors. is_named: whether it is a component itself.
        """
        own = self._rewrite_parts(schema, location)
        types = [own["type"]] if isinstance(own.get("type"), str) else list(own.get("type", ()))
        if VOCABULARY in own:
            reference = component(own.pop(VOCABULARY))
            return _nullable(reference | _annotations(own), is_nullable="null" in types)
        if "enum" in own and (name := self._vocabularies.get(tuple(text for text in own["enum"] if text is not None))):
            return _nullable(component(name) | _annotations(own), is_nullable=None in own["enum"])
        if ("object" in types or ("oneOf" in own and "title" in own)) and not is_named:
            return self._name(own, types, location)
        if "integer" in types and len(types) == 1 + ("null" in types):
            own.setdefault("format", "int64")
        if len([name for name in types if name != "null"]) > 1:
            # Generators know alternatives better than lists of types.
            del own["type"]
            options = [{"type": name} | ({"format": "int64"} if name == "integer" else {}) for name in types]
            own = {"anyOf": options} | own
        return own

    def _rewrite_parts(self, schema: Schema, location: str) -> dict[str, Any]:
        own = dict(schema)
        if len(own.get("patternProperties", ())) == 1:
            # The same in words that generators know.
            [(pattern, own["additionalProperties"])] = own.pop("patternProperties").items()
            own["propertyNames"] = {"pattern": pattern}
        if "properties" in own:
            own["properties"] = {
                name: self.rewrite(_describe_default(part), location=f"{location}.{name}")
                for name, part in own["properties"].items()
            }
        for keyword in ("items", "additionalProperties"):
            if isinstance(own.get(keyword), Mapping):
                own[keyword] = self.rewrite(own[keyword], location=f"{location}.{keyword}")
        for keyword in _SEVERAL:
            if keyword in own:
                own[keyword] = [self.rewrite(_add_title(part, own), location=location) for part in own[keyword]]
        return own

    def _name(self, schema: dict[str, Any], types: list[str], location: str) -> dict[str, Any]:
        if not schema.get("title") or not ({"properties", "additionalProperties", "oneOf"} & schema.keys()):
            raise ValueError(f"The object at {location} has no name or no members. See app.http.openapi.object_schema.")
        name = "".join(word[0].upper() + word[1:] for word in re.findall(r"\w+", schema["title"]))
        annotations = _annotations(schema)
        rest = {key: value for key, value in schema.items() if key not in annotations}
        self.add(name, rest if "oneOf" in rest else rest | {"type": "object"})
        return _nullable(component(name) | annotations, is_nullable="null" in types)


def _describe_default(member: Schema) -> Schema:
    """Return a member of an object with its default in words: generators require what has a default."""
    if "default" not in member:
        return member
    rest = {name: value for name, value in member.items() if name != "default"}
    text = rest.get("description", "")
    if member["default"] in (None, {}, []) or "default" in text.lower():
        return rest
    return rest | {"description": f"{text} Default: `{dumps(member['default'])}`.".strip()}


def _add_title(part: Schema, whole: Schema) -> Schema:
    """Return an alternative of a schema, an object of which has the name of the whole."""
    has_none = part.get("type") == "object" and "title" not in part and "title" in whole
    return {"title": whole["title"], **part} if has_none else part


def _annotations(schema: Schema) -> dict[str, Any]:
    return {name: schema[name] for name in _ANNOTATIONS if name in schema}


def _nullable(schema: dict[str, Any], *, is_nullable: bool) -> dict[str, Any]:
    if not is_nullable:
        return schema
    annotations = _annotations(schema)
    rest = {name: value for name, value in schema.items() if name not in annotations}
    return {"anyOf": [rest, {"type": "null"}], **annotations}


def _open(schema: Any, vocabularies: Mapping[str, Any]) -> Any:
    """Return a schema of answers in which every enumeration is a text that is one of these so far."""
    if isinstance(schema, list):
        return [_open(part, vocabularies) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    own = {name: _open_part(name, part, vocabularies) for name, part in schema.items()}
    names = vocabularies.get(str(own.get("$ref", "")).rpartition("/")[2], own).get("enum")
    if not isinstance(names, list):
        return own
    is_nullable = None in names or "null" in own.get("type", ())
    rest = {name: value for name, value in own.items() if name not in ("$ref", "enum")}
    return rest | {
        "type": ["string", "null"] if is_nullable else "string",
        OPEN_ENUM: [text for text in names if text is not None],
    }


def _open_part(keyword: str, part: Any, vocabularies: Mapping[str, Any]) -> Any:
    if keyword == "properties":
        return {name: _open(member, vocabularies) for name, member in part.items()}
    return _open(part, vocabularies) if keyword in ("items", "additionalProperties", *_SEVERAL) else part


def _reachable(components: Schema, operations: Iterable[Mapping[str, Any]], *members: str) -> set[str]:
    """Return the names of the components that these members of operations need."""
    reached: set[str] = set()
    waiting: list[Any] = [operation[member] for operation in operations for member in members if member in operation]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            name = str(part.get("$ref", "")).removeprefix("#/components/schemas/")
            if name in components and name not in reached:
                reached.add(name)
                waiting.append(components[name])
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
    return reached
