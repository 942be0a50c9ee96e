"""OpenAPI schemas of the members that the rows of several reports have."""

from typing import Any

from app.http.openapi import name_schema
from app.metrics.schema import PERIOD_COLUMNS, ROW_SCHEMA

PERIOD_SCHEMA: dict[str, Any] = {name: ROW_SCHEMA[name] for name in PERIOD_COLUMNS if name != "metric"}
GROUP_SCHEMA: dict[str, Any] = {"group": ROW_SCHEMA["group"]}
# The member that a row has when nothing was known on the day `as_of`.
REASON_SCHEMA: dict[str, Any] = {"reason": name_schema("Reason", "Why the numbers are null: `nothing_known_yet`.")}
OPTIONAL_TEXT: dict[str, Any] = {"type": ["string", "null"]}
