"""Headers that a request adds to its response before there is one, whatever response that will be."""

from collections.abc import Mapping, MutableMapping
from typing import Any

Headers = list[tuple[bytes, bytes]]

# The member of a request's scope that holds them.
_MEMBER = "csmetrics.response_headers"
# The member that says whether only the headers of the response are sent.
IS_HEAD = "csmetrics.is_head"


def collect_response_headers(scope: MutableMapping[str, Any]) -> Headers:
    """Return the list, still empty, to which `add_response_headers` will add those of this request."""
    headers: Headers = scope.setdefault(_MEMBER, [])
    return headers


def add_response_headers(scope: MutableMapping[str, Any], headers: Mapping[str, str]) -> None:
    """Add headers to the response of the request with this scope; one that was added before is replaced."""
    own = collect_response_headers(scope)
    added = {name.lower().encode(): value.encode() for name, value in headers.items()}
    own[:] = [*(header for header in own if header[0] not in added), *added.items()]
