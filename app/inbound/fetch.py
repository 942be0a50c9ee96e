"""Read from the API of a vendor what its deliveries only name. Besides the delivery of webhooks, nothing else uses the network.

The host is that of the catalogue, and never from a delivery; so proxies of the environment are used, as operators expect.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.core.errors import Problem, Unavailable
from app.http.encoding import parse_json
from app.ingest.payload import Untranslatable

if TYPE_CHECKING:
    import httpx

_SECONDS = 8
_MAX_BYTES = 2**22


class VendorApi:
    """The API of a vendor, with a key. transport: other than the network, for tests."""

    transport: "httpx.AsyncBaseTransport | None" = None

    def __init__(self, url: str, key: str, title: str) -> None:
        self._url, self._key, self._title = url, key, title

    async def get(
        self, path: str, *, parameters: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Return the JSON at a path. Raises Untranslatable where asking again is of no use, else Unavailable."""
        return await self._request("GET", path, params=parameters, headers=headers)

    async def post(self, path: str, body: Any) -> Any:
        """Return the JSON that answers a body, as `get` does. For questions only, which change nothing."""
        return await self._request("POST", path, json=body)

    async def _request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> Any:
        # Here, since most commands import this module and never read from a vendor.
        import httpx

        own_headers = {"Authorization": f"Bearer {self._key}", **(headers or {})}
        try:
            async with httpx.AsyncClient(transport=self.transport, timeout=_SECONDS) as client:
                response = await client.request(method, self._url + path, headers=own_headers, **arguments)
        except httpx.HTTPError:
            raise self._unavailable() from None
        if response.status_code in (401, 403):
            raise Untranslatable(f"{self._title} refuses the `api_key` of the source, or it may not read {path}.")
        if response.status_code == 429 or response.status_code >= 500:
            raise self._unavailable()
        if not response.is_success or len(response.content) > _MAX_BYTES:
            raise Untranslatable(f"{self._title} has nothing at {path}: it answers {response.status_code}.")
        try:
            return parse_json(response.content)
        except Problem:
            raise self._unavailable() from None

    def _unavailable(self) -> Unavailable:
        detail = f"The API of {self._title} does not answer. The delivery is kept; send it again, or replay it."
        return Unavailable(detail, code="vendor_unavailable")
