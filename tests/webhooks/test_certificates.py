"""Receivers over https: whose certificate is trusted, and what the history says when one is not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.webhooks import deliver
from tests.support.certificates import Authority
from tests.support.process import service_process, wait_until
from tests.support.receiver import receiver
from tests.support.service import Service
from tests.webhooks.hooks import Hooks, allowing_hooks
from tests.webhooks.test_delivery import detractor
from tests.webhooks.test_worker import send_fresh


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trust the authority by the variable that is for that."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    deliver.tls_context.cache_clear()
    yield
    deliver.tls_context.cache_clear()


@pytest.fixture
def hooks(service: Service) -> Iterator[Hooks]:
    """A service that may send to this machine, but not without TLS."""
    with allowing_hooks(service, webhook_allow_http=False, webhook_allowed_networks="127.0.0.0/8, localhost") as own:
        yield own


def try_receiver(hooks: Hooks, file: Path, *, host: str = "127.0.0.1") -> tuple[str, str | None]:
    """Return the result and the detail of an attempt to a receiver with a certificate. Check that nothing else reached it."""
    with receiver(certificate=file) as own:
        port = own.url.rpartition(":")[2]
        endpoint = hooks.create(f"https://{host}:{port}/ok/tls")
        tested = hooks.post(f"{endpoint['id']}/test").json()
        assert len(own.received()) == (tested["state"] == "delivered")
    [entry] = tested["log"]
    assert entry["status"] == (204 if tested["state"] == "delivered" else None)
    return entry["result"], entry["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_receiver_is_reached_if_an_authority_of_ssl_cert_file_vouches_for_its_name(
    hooks: Hooks, authority: Authority, trusted: None, host: str
) -> None:
    assert try_receiver(hooks, authority.issue("good"), host=host) == ("delivered", None)


def test_the_history_says_why_a_certificate_was_refused(hooks: Hooks, authority: Authority, trusted: None) -> None:
    files = {
        "The certificate was refused: self-signed certificate.": authority.sign_itself("alone"),
        "The certificate was refused: certificate has expired.": authority.issue("expired", days=-1),
        "The certificate was refused: IP address mismatch, certificate is not valid for '127.0.0.1'.": authority.issue(
            "other", names="DNS:crm.example.com"
        ),
    }
    assert {try_receiver(hooks, file) for file in files.values()} == {("tls", text) for text in files}


def test_the_history_says_why_there_is_no_tls(hooks: Hooks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                client.recv(65_536)

        thread = threading.Thread(target=answer)
        thread.start()
        endpoint = hooks.create(f"https://127.0.0.1:{server.getsockname()[1]}/")
        [entry] = hooks.post(f"{endpoint['id']}/test").json()["log"]
        thread.join()
    assert (entry["result"], entry["detail"]) == ("tls", "TLS could not be established: wrong version number.")


def test_an_authority_that_nobody_named_is_not_trusted(hooks: Hooks, authority: Authority) -> None:
    result, detail = try_receiver(hooks, authority.issue("unknown"))
    assert result == "tls"
    assert detail == "The certificate was refused: unable to get local issuer certificate."


def test_a_refused_certificate_is_repeated_like_any_failure(
    service: Service, hooks: Hooks, authority: Authority
) -> None:
    with receiver(certificate=authority.sign_itself("again")) as own:
        endpoint = hooks.create(f"{own.url}/ok/again")
        service.send(detractor())
        hooks.deliver()
        [delivery] = hooks.deliveries(endpoint["id"])
        assert delivery["state"] == "pending" and delivery["next_attempt_at"] > delivery["created_at"]
        assert hooks.endpoint(endpoint["id"])["failing_since"] is not None
        assert own.received() == []


@pytest.mark.own_database
def test_serve_trusts_the_authorities_of_ssl_cert_file(tmp_path: Path, database: str, authority: Authority) -> None:
    settings = {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1", "SSL_CERT_FILE": authority.certificate}
    with ExitStack() as stack:
        good = stack.enter_context(receiver(certificate=authority.issue("served")))
        bad = stack.enter_context(receiver(certificate=authority.sign_itself("refused")))
        own = stack.enter_context(service_process(tmp_path, database, **settings))
        ids = []
        for target in (bad, good):
            body = {"url": f"{target.url}/ok", "topics": ["feedback.received"]}
            ids.append(own.request("POST", "/v1/webhook-endpoints", json=body).json()["id"])
        send_fresh(own, 1, "tls")
        wait_until(lambda: len(good.received()) == 1)
        path = f"/v1/webhook-endpoints/{ids[0]}/deliveries"
        wait_until(lambda: own.request("GET", path).json()["deliveries"][0]["log"])
        [delivery] = own.request("GET", path).json()["deliveries"]
        assert delivery["log"][0]["detail"] == "The certificate was refused: self-signed certificate."
        assert bad.received() == []
