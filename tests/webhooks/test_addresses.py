"""No message reaches an address that is not public: at create, update, test, deliver and redeliver, whatever the name says."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from app.webhooks import deliver, destination
from app.webhooks.addresses import blocked_kind, parse_address
from tests.support.receiver import Receiver
from tests.support.service import Service
from tests.webhooks.hooks import Hooks, allowing_hooks
from tests.webhooks.test_delivery import detractor

PUBLIC = "93.184.216.34"
# Hosts of URLs that the system resolves itself, without a name server, and what the connection would reach.
_LITERALS = """
    127.0.0.1 127.0.0.2 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0x7f.0.0.1 0177.0.0.1 017700000001 0 0.0.0.0 0.0.0.1
    10.0.0.5 10.255.255.255 0xa000005 012.0.0.5 172.16.0.1 172.31.255.255 2886729729 192.168.0.1 192.168.1.254 3232235521
    169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.0.1 100.64.0.1 100.127.255.254 100.100.100.200
    192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.255 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1 198.18.0.1
    198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 224.1.2.3 233.252.0.16 239.255.255.250 240.0.0.1 254.1.2.3
    255.255.255.255 localhost LOCALHOST localhost.
    [::] [::1] [0:0:0:0:0:0:0:1] [::127.0.0.1] [::169.254.169.254] [::10.0.0.5] [::ffff:127.0.0.1] [::ffff:7f00:1]
    [::ffff:10.0.0.5] [::ffff:169.254.169.254] [::ffff:192.168.0.1] [::ffff:93.184.216.34] [::ffff:0:10.0.0.5]
    [::ffff:0:7f00:1] [64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b::c0a8:0] [64:ff9b::5db8:d822] [64:ff9b:1::1]
    [64:ff9b:1::a00:5] [100::1] [100:0:0:1::1] [2001::1] [2001:0:4136:e378:8000:63bf:3fff:fdd2] [2001:0:a00:5::1]
    [2001:2::1] [2001:3::1] [2001:4:112::1] [2001:10::1] [2001:20::1] [2001:30::1] [2001:db8::1] [2001:db8:ffff::1]
    [2002:7f00:1::] [2002:a00:5::1] [2002:a9fe:a9fe::] [2002:c0a8:1::] [2002:5db8:d822::1] [2620:4f:8000::1] [3ffe::1]
    [3fff::1] [3fff:fff::1] [5f00::1] [fc00::1] [fd00:ec2::254] [fdff:ffff::1] [fe80::1] [febf::1] [fec0::1] [feff::1]
    [ff00::1] [ff02::1] [ff0e::1] [::5efe:10.0.0.1] [2a01:4f8::5efe:10.0.0.5] [2a01:4f8::200:5efe:a00:5] [1::1] [4000::1]
    [8000::1] [a000::1] [::2] [0:0:0:0:0:ffff:a00:5] [0:0:0:0:ffff:0:a00:5]
    """
LITERALS = _LITERALS.split()
# Names, and the addresses that they have. The last ones have a good address beside a bad one.
NAMES = {
    "internal.example": ["10.0.0.5"],
    "metadata.example": ["169.254.169.254"],
    "loopback.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "unique-local.example": ["fd00:ec2::254"],
    "mapped.example": ["::ffff:10.0.0.5"],
    "scoped.example": ["fe80::1%eth0"],
    "carrier.example": ["100.64.1.1"],
    "good-and-bad.example": [PUBLIC, "10.0.0.5"],
    "bad-and-good.example": ["127.0.0.1", PUBLIC],
    "good-and-bad6.example": ["2a01:4f8::1", "::1"],
}
# Texts that are no URL of an endpoint, whatever they would lead to.
BAD_URLS = [
    "http://93.184.216.34/",
    "ftp://93.184.216.34/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "https://",
    "https:///path",
    "https:93.184.216.34",
    "//93.184.216.34/",
    "https://user@93.184.216.34/",
    "https://user:password@93.184.216.34/",
    "https://93.184.216.34@127.0.0.1/",
    "https://127.0.0.1#@93.184.216.34/",
    "https://93.184.216.34\\@127.0.0.1/",
    "https://93.184.216.34\\.127.0.0.1/",
    "https://93.184.216.34/#x",
    "https://93.184.216.34:22/",
    "https://93.184.216.34:25/",
    "https://93.184.216.34:99999/",
    "https://93.184.216.34:-1/",
    "https://93.184.216.34:4 43/",
    "https://93.184.216.34/\r\nHost: x",
    "https://93.184.216.34/\t",
    " https://93.184.216.34/",
    "https://93.184.216.34 /",
    "https://[::1/",
    "https://[::1]x/",
    "https://[fe80::1%25eth0]/",
    "https://[::ffff:127.0.0.1%lo]/",
    "https://[v1.x]/",
    "https://127。0。0。1/",
    "https://１２７.0.0.1/",
    "https://ⓛocalhost/",
    "https://a..b/",
    "https://-/",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1%00.example/",
    "https://" + "a" * 2_000 + "/",
]
HOSTS = [*LITERALS, *NAMES]


class Canary:
    """Stands for the network: whatever would be connected to is noted, and never reached."""

    def __init__(self) -> None:
        self.connections: list[str] = []

    async def connect(self, request: Any) -> Any:
        self.connections.append(request.url.host)
        raise deliver.httpx.ConnectError("no network in tests")


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Canary:
    own = Canary()
    monkeypatch.setattr(
        deliver.httpx.AsyncHTTPTransport, "handle_async_request", lambda _, request: own.connect(request)
    )
    return own


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The names that the name server knows; a test may change them. All other hosts are resolved by the system."""
    known = {name: list(addresses) for name, addresses in NAMES.items()} | {"public.example": [PUBLIC]}
    own_look_up = destination.look_up

    def look_up(host: str, port: int) -> list[str]:
        if host in known:
            if not known[host]:
                raise socket.gaierror(socket.EAI_AGAIN, "try again")
            return known[host]
        assert not host.endswith(".example"), host
        return own_look_up(host, port)

    monkeypatch.setattr(destination, "look_up", look_up)
    return known


@pytest.fixture
def hooks(service: Service, names: dict[str, list[str]]) -> Iterator[Hooks]:
    """A service with the settings that it has by default."""
    with allowing_hooks(service, webhook_allow_http=False, webhook_allowed_networks="") as own:
        yield own


def test_there_are_at_least_120_vectors() -> None:
    assert len({*HOSTS}) == len(HOSTS) and len(HOSTS) + len(BAD_URLS) >= 120


def test_create_and_update_refuse_every_vector(hooks: Hooks, canary: Canary) -> None:
    endpoint = hooks.create("https://public.example/")
    for host in HOSTS:
        url = f"https://{host}/hook"
        created = hooks.service.request("POST", "/v1/webhook-endpoints", json={"url": url, "topics": ["mrr.moved"]})
        changed = hooks.patch(endpoint["id"], url=url)
        for answer in (created, changed):
            assert answer.status_code == 422, (host, answer.text)
            assert answer.json()["code"] in ("webhook_address", "webhook_host", "webhook_url"), (host, answer.text)
            assert "127." not in answer.text and "10.0" not in answer.text, "an answer does not tell internal addresses"
    assert hooks.endpoint(endpoint["id"])["url"] == "https://public.example/"
    assert canary.connections == []


def test_create_and_update_refuse_what_is_no_url_of_a_receiver(hooks: Hooks, canary: Canary) -> None:
    endpoint = hooks.create("https://public.example/")
    for url in BAD_URLS:
        created = hooks.service.request("POST", "/v1/webhook-endpoints", json={"url": url, "topics": ["mrr.moved"]})
        changed = hooks.patch(endpoint["id"], url=url)
        for answer in (created, changed):
            assert answer.status_code == 422, (url, answer.text)
            assert answer.json()["code"] in ("webhook_url", "invalid"), (url, answer.text)
    assert canary.connections == []


def store_urls(service: Service, execute_in: Any, urls: list[str]) -> None:
    """Put endpoints into the database that the API refuses, as if they had been allowed once."""
    for number, url in enumerate(urls):
        text = url.replace("'", "''")
        execute_in(
            "INSERT INTO webhook_endpoint (id, url, topics, secrets, created_at) VALUES "
            f"('ep_{number}', '{text}', '{{feedback.received}}', "
            f"""'[{{"secret": "whsec_{"A" * 32}", "expires_at": null}}]', '2026-03-15T11:00:00Z')"""
        )


def test_deliver_test_and_redeliver_reach_no_vector(
    service: Service, hooks: Hooks, canary: Canary, execute_in: Any
) -> None:
    urls = [f"https://{host}/hook" for host in HOSTS] + [url for url in BAD_URLS if "\0" not in url]
    store_urls(service, execute_in, urls)
    service.send(detractor())
    hooks.deliver()
    for number, url in enumerate(urls):
        id = f"ep_{number}"
        [delivery] = hooks.deliveries(id)
        assert delivery["log"][0]["result"] in ("blocked_address", "no_address", "url"), (url, delivery)
        assert hooks.post(f"{id}/test").json()["log"][0]["result"] == delivery["log"][0]["result"], url
        assert hooks.post(f"{id}/deliveries/{delivery['id']}/redeliver").status_code == 200
    hooks.deliver()
    for number in range(len(urls)):
        assert sorted(len(delivery["log"]) for delivery in hooks.deliveries(f"ep_{number}")) == [1, 2]
    assert canary.connections == []


def test_a_name_that_leads_elsewhere_later_is_not_followed(
    service: Service, hooks: Hooks, canary: Canary, names: dict[str, list[str]]
) -> None:
    names["rebinding.example"] = [PUBLIC]
    endpoint = hooks.create("https://rebinding.example/hook")
    service.send(detractor())
    for addresses in (["127.0.0.1"], [], ["10.0.0.5", PUBLIC], ["::1"]):
        names["rebinding.example"] = addresses
        hooks.deliver()
        service.later(hours=13)
    [delivery] = hooks.deliveries(endpoint["id"])
    results = [entry["result"] for entry in delivery["log"]]
    assert results == ["blocked_address", "no_address", "blocked_address", "blocked_address"]
    assert canary.connections == []


def test_each_look_up_of_a_flipping_name_decides_on_its_own_answer(
    service: Service, hooks: Hooks, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []

    def flip(host: str, port: int) -> list[str]:
        answers.append(PUBLIC if len(answers) % 2 == 0 else "127.0.0.1")
        return [answers[-1]]

    monkeypatch.setattr(destination, "look_up", flip)
    endpoint = hooks.create("https://flipping.example/hook")
    for _ in range(50):
        hooks.post(f"{endpoint['id']}/test")
    assert len(answers) == 51, "a host is looked up once for an attempt"
    assert canary.connections == [PUBLIC] * answers[1:].count(PUBLIC)


def test_the_connection_goes_to_the_checked_address_with_the_name_of_the_host(
    hooks: Hooks, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Any] = []

    async def handle(_: Any, request: Any) -> Any:
        requests.append(request)
        return deliver.httpx.Response(204, request=request, stream=deliver.httpx.ByteStream(b""))

    monkeypatch.setattr(deliver.httpx.AsyncHTTPTransport, "handle_async_request", handle)
    endpoint = hooks.create("https://public.example:8443/hook?a=%20b")
    assert hooks.post(f"{endpoint['id']}/test").json()["state"] == "delivered"
    [request] = requests
    assert str(request.url) == f"https://{PUBLIC}:8443/hook?a=%20b"
    assert request.headers["host"] == "public.example:8443" and request.extensions["sni_hostname"] == "public.example"
    names["public.example."] = [PUBLIC]
    endpoint = hooks.create("https://public.example./hook")
    hooks.post(f"{endpoint['id']}/test")
    assert requests[1].extensions["sni_hostname"] == "public.example", "certificates have no name that ends with a dot"


def test_internal_receivers_are_allowed_by_host_address_or_network(
    service: Service, names: dict[str, list[str]]
) -> None:
    rules = {
        "10.0.0.0/8": {"internal.example", "10.0.0.5"},
        "10.0.0.5": {"internal.example", "10.0.0.5"},
        "internal.example, ::1": {"internal.example", "[::1]"},
        "INTERNAL.example": {"internal.example"},
        "10.0.0.4, fd00::/8": {"[fd00:ec2::254]"},
    }
    tried = {"internal.example", "10.0.0.5", "[::1]", "[fd00:ec2::254]", "metadata.example", "[::ffff:10.0.0.5]"}
    for networks, allowed in rules.items():
        with allowing_hooks(service, webhook_allow_http=False, webhook_allowed_networks=networks) as hooks:
            reached = {host for host in tried if _is_accepted(hooks, host)}
            assert reached == allowed, networks


def _is_accepted(hooks: Hooks, host: str) -> bool:
    body = {"url": f"https://{host}/", "topics": ["mrr.moved"]}
    return hooks.service.request("POST", "/v1/webhook-endpoints", json=body).status_code == 201


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "93.184.216.34",
        "1.1.1.1",
        "192.0.1.1",
        "172.32.0.1",
        "100.128.0.1",
        "223.255.255.255",
        "2a01:4f8::1",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "2600::1",
    ],
)
def test_public_addresses_are_not_blocked(text: str) -> None:
    assert blocked_kind(parse_address(text)) is None


def test_a_canary_on_this_machine_is_not_reached(service: Service, names: dict[str, list[str]]) -> None:
    """The same once more with real connections: a listener on every address of this machine sees nobody."""
    seen: list[Any] = []

    async def listen() -> tuple[Any, int]:
        server = await asyncio.start_server(lambda _, writer: seen.append(writer), "127.0.0.1", 0)
        return server, server.sockets[0].getsockname()[1]

    with allowing_hooks(service, webhook_allow_http=True, webhook_allowed_networks=""):
        server, port = service.run(listen())
        for host in (
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0",
            "localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "loopback.example",
        ):
            body = {"url": f"http://{host}:{port}/", "topics": ["mrr.moved"]}
            assert service.request("POST", "/v1/webhook-endpoints", json=body).status_code == 422
        service.run(asyncio.sleep(0))
        server.close()
        service.run(server.wait_closed())
    assert seen == []


def test_proxies_of_the_environment_are_not_used(
    service: Service, target: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"{target.url}/proxy")
    with allowing_hooks(service) as hooks:
        endpoint = hooks.create("http://127.0.0.1:1026/")
        assert hooks.post(f"{endpoint['id']}/test").json()["log"][0]["result"] == "connection"
    assert [row for row in target.received() if "1026" in row["path"]] == []
