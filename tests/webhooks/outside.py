"""What is outside: HubSpot, Salesforce and Slack as a server of the test that remembers the calls, and the recipes as processes.

The answers are those of the public documentation: HubSpot's "Update a company" (200 with the record; 404 for an unknown value of
the unique property; 429), Salesforce's "Upsert by external ID" (200, or 404 with `updateOnly`; 401 `INVALID_SESSION_ID`) and the
client credentials flow, Slack's incoming webhooks (the text `ok`; 429 with `Retry-After`).
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.process import ROOT, wait_until
from tests.support.processes import free_port

EXAMPLES = ROOT / "docs" / "examples"
HUBSPOT_PATHS = ("/crm/objects/2026-03/companies/", "/crm/v3/objects/companies/")
SALESFORCE_PATH = "/services/data/v66.0/sobjects/Account/Csm_Account_Id__c/"
SLACK_PATH = "/services/T000/B000/XXXX"
# What each variable is in the tests; the addresses are those of the server.
SECRETS = {
    "HUBSPOT_TOKEN": "pat-of-the-tests",
    "SALESFORCE_CLIENT_ID": "id-of-the-tests",
    "SALESFORCE_CLIENT_SECRET": "secret-of-the-tests",
}


class Call(NamedTuple):
    """A request to the CRM. account: the last part of the path, decoded."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any

    @property
    def account(self) -> str:
        return unquote(self.path.rpartition("/")[2])


class Reply(NamedTuple):
    """A response of the CRM."""

    status: int
    body: Any = ""
    headers: tuple[tuple[str, str], ...] = ()


class Crm:
    """The server. accounts: that it knows. next_replies: what it answers first, instead of the right thing."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.accounts = {"acme"}
        self.next_replies: list[Reply] = []
        self.token = "session-1"

    def answer(self, call: Call) -> Reply:
        """Return what the vendor answers, and check that the call is as the vendor documents it."""
        if call.path == "/services/oauth2/token":
            return self._log_in(call)
        self.calls.append(call)
        if self.next_replies:
            return self.next_replies.pop(0)
        assert call.headers["content-type"] == "application/json"
        if call.path == SLACK_PATH:
            assert call.method == "POST" and call.body.keys() == {"text"}
            return Reply(200, "ok")
        assert call.method == "PATCH"
        if call.path.startswith(HUBSPOT_PATHS):
            return self._update_company(call)
        assert call.path.startswith(SALESFORCE_PATH) and call.query == {"updateOnly": ["true"]}
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
        if call.account not in self.accounts:
            return Reply(404, [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}])
        return Reply(200, {"id": "001000000000001", "success": True, "errors": [], "created": False})

    def _update_company(self, call: Call) -> Reply:
        assert call.query == {"idProperty": ["csm_account_id"]}
        assert call.headers["authorization"] == "Bearer pat-of-the-tests"
        assert call.body.keys() == {"properties"}
        assert all(isinstance(value, str) for value in call.body["properties"].values())
        if call.account not in self.accounts:
            return Reply(404, {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "resource not found"})
        return Reply(200, {"id": "512", "properties": call.body["properties"], "archived": False})

    def _log_in(self, call: Call) -> Reply:
        assert call.method == "POST" and call.body == {
            "grant_type": ["client_credentials"],
            "client_id": ["id-of-the-tests"],
            "client_secret": ["secret-of-the-tests"],
        }
        return Reply(200, {"access_token": self.token, "instance_url": "https://unused", "token_type": "Bearer"})


@contextmanager
def crm_server() -> Iterator[tuple[Crm, str]]:
    """Run the server for the duration of a `with` block: what it remembers, and its address."""
    crm = Crm()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            url, length = urlsplit(self.path), int(self.headers.get("content-length", 0))
            body: Any = self.rfile.read(length).decode()
            is_form = self.headers["content-type"] == "application/x-www-form-urlencoded"
            body = parse_qs(body) if is_form else json.loads(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                reply = crm.answer(Call(self.command, url.path, parse_qs(url.query), headers, body))
            except (AssertionError, KeyError) as error:
                reply = Reply(400, f"not as documented: {error!r}")
            text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self.send_response(reply.status)
            for name, value in (*reply.headers, ("Content-Length", str(len(text.encode())))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_PATCH = _handle

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield crm, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def variables_of(name: str) -> set[str]:
    """Return the environment variables without which an example does not start."""
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    return set(re.findall(r"""os\.environ\[["'](\w+)["']\]""", text))


def environment(crm_url: str, **variables: str) -> dict[str, str]:
    """Return the environment of an example: nothing but its variables."""
    addresses = {
        "HUBSPOT_COMPANIES": f"{crm_url}{HUBSPOT_PATHS[0]}".rstrip("/"),
        "SALESFORCE_URL": crm_url,
        "SLACK_URL": f"{crm_url}{SLACK_PATH}",
    }
    return {"PATH": "", "PYTHONPATH": str(EXAMPLES)} | SECRETS | addresses | variables


class ExampleReceiver:
    """A receiver of the documentation as a process, started as the guides say."""

    def __init__(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        self.name, self.folder, self.variables = name, folder, variables
        self.port = free_port()
        self.endpoint = ""  # the id of the endpoint that delivers to it
        self.url = f"http://127.0.0.1:{self.port}/hooks"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", f"{self.name}:app", "--port", str(self.port)]
        with (self.folder / "output").open("a") as output:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.variables, stdout=output, stderr=subprocess.STDOUT
            )
        wait_until(lambda: "Uvicorn running" in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        os.truncate(self.folder / "output", 0)


@contextmanager
def example_receiver(name: str, folder: Path, variables: dict[str, str]) -> Iterator[ExampleReceiver]:
    """Run a receiver for the duration of a `with` block."""
    own = ExampleReceiver(name, folder, variables)
    try:
        yield own
    finally:
        own.kill()
