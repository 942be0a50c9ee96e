"""The path of a request as routes see it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote


def routable_path(scope: Mapping[str, Any]) -> str:
    """Return the decoded path, with %2F and %25 left as they are, so that a slash within an id does not split it.

    The type `core.ids.PathId` decodes the rest. Raises UnicodeDecodeError for a path that is not UTF-8.

    >>> routable_path({"raw_path": b"/v1/accounts/a%2Fb%20c%25"})
    '/v1/accounts/a%2Fb c%25'
    """
    raw = scope.get("raw_path")
    if raw is None:
        return str(scope["path"]).replace("%", "%25")
    text = raw.decode("ascii")
    if "%" not in text:
        return str(text)
    parts = (unquote(part, errors="strict") for part in text.split("/"))
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)
