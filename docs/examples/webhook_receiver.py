"""A receiver of webhooks that verifies them: python webhook_receiver.py PORT, with the secret in WEBHOOK_SECRET."""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE = 300  # seconds
seen: set[str] = set()  # in real life a table with the ids of messages


def is_genuine(id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    digest = hmac.digest(KEY, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = f"v1,{base64.b64encode(digest).decode()}".encode()
    return any(hmac.compare_digest(expected, own.encode()) for own in signatures.split(" "))


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        id, timestamp, signatures = (
            self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
        )
        genuine = is_genuine(id, timestamp, signatures, body)
        if genuine and id not in seen:
            seen.add(id)
            message = json.loads(body)
            mark = "(test) " if message.get("test") else ""
            sys.stdout.write(f"{mark}{message['type']} {json.dumps(message['data'])}\n")  # act on it here
            sys.stdout.flush()
        self.send_response(204 if genuine else 401)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
