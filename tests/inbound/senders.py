"""Senders of deliveries: each signs a body as its vendor does, by the vendor's own SDK where there is one."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
from hubspot.utils.signature import Signature
from standardwebhooks import Webhook
from stripe import WebhookSignature

from tests.support.service import Service

SECRET = "a-secret-of-the-tests-0123456789"
OTHER_SECRET = "another-secret-of-the-tests-98765"
STRIPE_SECRET = "whsec_a-secret-of-stripe-0123456789"
STANDARD_SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes in all").decode()

Sign = Callable[[bytes, datetime], Mapping[str, str]]


def to_bytes(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def put_source(service: Service, name: str, vendor: str, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    """Put a source and return it."""
    return service.put(f"/v1/sources/{name}", {"vendor": vendor, "secrets": [secret], **more}).json()


def post(service: Service, name: str, body: bytes, headers: Any, query: str = "") -> httpx.Response:
    """Post a delivery without an API key."""
    client = httpx.AsyncClient(transport=service.client._transport, base_url="http://service")
    own_headers = httpx.Headers(headers)
    own_headers.setdefault("Content-Type", "application/json")
    return service.run(client.post(f"/v1/inbound/{name}{query}", content=body, headers=own_headers))


def sign_stripe(body: bytes, now: datetime, secret: str = STRIPE_SECRET) -> dict[str, str]:
    time = int(now.timestamp())
    signature = WebhookSignature._compute_signature(f"{time}.{body.decode()}", secret)
    return {"Stripe-Signature": f"t={time},v1={signature}"}


def sign_standard(body: bytes, now: datetime, secret: str = STANDARD_SECRET, id: str = "msg_1") -> dict[str, str]:
    signature = Webhook(secret).sign(id, now, body.decode())
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def sign_hubspot(
    body: bytes, now: datetime, url: str = "http://service/v1/inbound/hubspot", secret: str = SECRET
) -> dict[str, str]:
    time = str(int(now.timestamp() * 1000))
    signature = Signature.get_signature(secret, body.decode(), "v3", url, "POST", time)
    return {"X-HubSpot-Request-Timestamp": time, "X-HubSpot-Signature-v3": signature}


def hexed(body: bytes, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).hexdigest()


def based(body: bytes, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).digest()).decode()


def sign_hmac(body: bytes, now: datetime, secret: str = SECRET) -> dict[str, str]:
    return {"X-Signature": hexed(body, secret)}


def send(service: Service, name: str, payload: Any, sign: Sign = sign_hmac) -> dict[str, Any]:
    """Send a delivery that is accepted or kept; return the answer with its status code."""
    body = to_bytes(payload)
    answer = post(service, name, body, sign(body, service.now))
    assert answer.status_code in (200, 202), answer.text
    return {"code": answer.status_code, **answer.json()}


BASIC = {"Authorization": "Basic YS1zZWNyZXQ6b2YtdGhlLXRlc3RzLTAxMjM="}


# How each vendor signs.
SIGN: dict[str, Sign] = {
    "stripe": sign_stripe,
    "generic": sign_hmac,
    "cloudevents": sign_hmac,
    "zendesk": lambda body, now: {
        "X-Zendesk-Webhook-Signature-Timestamp": now.isoformat(),
        "X-Zendesk-Webhook-Signature": based(now.isoformat().encode() + body),
    },
    "intercom": lambda body, now: {"X-Hub-Signature": "sha1=" + hexed(body, algorithm="sha1")},
    "chatwoot": lambda body, now: {
        "X-Chatwoot-Timestamp": str(int(now.timestamp())),
        "X-Chatwoot-Signature": "sha256=" + hexed(str(int(now.timestamp())).encode() + b"." + body),
    },
    "hubspot": sign_hubspot,
    "salesforce": lambda body, now: {"X-Csm-Secret": SECRET},
    "pipedrive": lambda body, now: BASIC,
    "typeform": lambda body, now: {"Typeform-Signature": "sha256=" + based(body)},
    "segment": lambda body, now: {"X-Signature": hexed(body, algorithm="sha1")},
}
SECRETS = {"stripe": STRIPE_SECRET, "pipedrive": "a-secret:of-the-tests-0123"}
# Those whose bodies are not signed.
UNSIGNED = {"salesforce", "pipedrive"}
