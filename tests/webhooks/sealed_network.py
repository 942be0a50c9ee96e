"""A program that tries to make the service call internal addresses, in a network of its own in which every address is a canary.

    unshare --net --mount python -m tests.webhooks.sealed_network FOLDER DATABASE HOSTS REBINDINGS

In its network namespace there is nothing but the loopback device, to which all addresses of IPv4 and IPv6 lead. There the canary
listens and notes which address was called. So no packet leaves the machine, and a connection to any address would be seen, also
one to 169.254.169.254. The names are those of a name server of its own, some of which change with each query. It prints as JSON
what was refused, how attempts ended, and which addresses were reached.
"""

import json
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg

from tests.support.process import ServiceProcess, service_process, wait_until
from tests.webhooks.test_addresses import LITERALS, NAMES, PUBLIC
from tests.webhooks.test_worker import send_fresh

PUBLIC_V6 = "2a01:4f8::1"
# What a name that rebinds leads to, one after the other: to its first query it is public.
_FLIPS = ([PUBLIC], ["127.0.0.1"], [PUBLIC], ["169.254.169.254"], [PUBLIC, "10.0.0.5"], [PUBLIC], ["::1"], None, ["10.0.0.5"],
          [PUBLIC_V6], ["fd00:ec2::254"], [PUBLIC_V6, "::ffff:127.0.0.1"])  # fmt: skip
_PORTS = (80, 443, 8080)
_A, _AAAA = 1, 28


def main(folder: str, database: str, hosts: str, rebindings: str) -> None:
    own_folder = Path(folder)
    _seal(own_folder)
    canary, names = Canary(), NameServer()
    settings = {"WEBHOOK_ALLOW_HTTP": "true", "WEBHOOK_TIMEOUT": "5"}
    with service_process(own_folder, database, **settings) as own:
        urls = [
            f"{scheme}/hook" for host in _sample(int(hosts)) for scheme in (f"http://{host}:8080", f"https://{host}")
        ]
        report: dict[str, Any] = {"urls": len(urls)}
        report["control"] = _try_public(own)
        report["accepted"] = _create_and_update(own, urls)
        report["attempts"] = _deliver(own, database, urls)
        report["rebindings"] = _rebind(own, names, int(rebindings))
        report["reached"] = canary.reached
    print(json.dumps(report))  # noqa: T201


def _sample(count: int) -> list[str]:
    """Return so many of the hosts, from all kinds of them."""
    hosts = [*LITERALS, *NAMES]
    return [*hosts[:: max(1, len(hosts) // count)], "metadata.example", "127.0.0.1"]


def _seal(folder: Path) -> None:
    """Let all addresses lead to this process, and all names to its name server."""
    resolver = folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    for command in (
        "ip link set lo up",
        "ip route add local 0.0.0.0/0 dev lo",
        "ip -6 route add local ::/0 dev lo",
        f"mount --bind {resolver} /etc/resolv.conf",
    ):
        subprocess.run(command.split(), check=True)


class Canary:
    """Listens at all addresses, and notes which were called. It answers with a redirect to an internal one."""

    def __init__(self) -> None:
        self.reached: Counter[str] = Counter()
        for port in _PORTS:
            server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
            threading.Thread(target=self._serve, args=[server], daemon=True).start()

    def _serve(self, server: socket.socket) -> None:
        while True:
            client, _ = server.accept()
            with client, suppress(OSError):
                address: Any = ip_address(client.getsockname()[0].partition("%")[0])
                self.reached[str(address.ipv4_mapped or address)] += 1
                client.settimeout(2)
                client.recv(65_536)
                client.sendall(b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.5:8080/\r\ncontent-length: 0\r\n\r\n")


class NameServer:
    """Answers queries for addresses. A name that begins with `flip` has other ones with each look-up."""

    def __init__(self) -> None:
        self.look_ups: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def addresses(self, name: str, kind: int) -> list[str] | None:
        """Return the addresses of a name; None for an error. A look-up first asks for those of IPv4, then of IPv6."""
        if name.startswith("flip"):
            self.look_ups[name] += kind == _A
            return _FLIPS[(self.look_ups[name] - 1) % len(_FLIPS)]
        return {"public.example": [PUBLIC], **NAMES}.get(name.lower(), [])

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4_096)
            with suppress(IndexError, UnicodeDecodeError, ValueError):
                self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        labels, position = [], 12
        while length := query[position]:
            labels.append(query[position + 1 : position + 1 + length].decode())
            position += 1 + length
        kind, question = int.from_bytes(query[position + 1 : position + 3]), query[12 : position + 5]
        addresses = self.addresses(".".join(labels), kind)
        version = {_A: 4, _AAAA: 6}.get(kind)
        parsed = [ip_address(text.partition("%")[0]) for text in addresses or []]
        packed = [own.packed for own in parsed if own.version == version]
        records = b"".join(
            # The name of the question, its kind, the class IN, no time to live.
            b"\xc0\x0c" + kind.to_bytes(2) + b"\x00\x01" + bytes(4) + len(data).to_bytes(2) + data
            for data in packed
        )
        code = b"\x81\x82" if addresses is None else b"\x81\x80"
        return query[:2] + code + b"\x00\x01" + len(packed).to_bytes(2) + bytes(4) + question + records


def _body(url: str) -> dict[str, Any]:
    return {"url": url, "topics": ["feedback.received"]}


def _try_public(own: ServiceProcess) -> str:
    """Return how an attempt to a public address ends, which shows that the canary sees what it should."""
    created = own.request("POST", "/v1/webhook-endpoints", json=_body("http://public.example:8080/hook")).json()
    path = f"/v1/webhook-endpoints/{created['id']}"
    [entry] = own.request("POST", f"{path}/test", json={}).json()["log"]
    return f"{entry['result']} {entry['status']}"


def _create_and_update(own: ServiceProcess, urls: list[str]) -> list[str]:
    """Return the URLs with which an endpoint could be created or updated."""
    [endpoint] = own.request("GET", "/v1/webhook-endpoints").json()["endpoints"]
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    accepted = []
    for url in urls:
        created = own.request("POST", "/v1/webhook-endpoints", json=_body(url))
        updated = own.request("PATCH", path, json={"url": url})
        accepted += [url for answer in (created, updated) if answer.status_code != 422]
        if created.status_code == 201:
            own.request("DELETE", f"/v1/webhook-endpoints/{created.json()['id']}")
    own.request("PATCH", path, json={"topics": ["target.met"]})
    return accepted


def _deliver(own: ServiceProcess, database: str, urls: list[str]) -> dict[str, dict[str, int]]:
    """Test, deliver and redeliver to endpoints with these URLs, as if they had been allowed once. Return how that ended."""
    results = {name: Counter[str]() for name in ("test", "deliver", "redeliver")}
    rows = [
        (f"vector_{number}", url, f'[{{"secret": "whsec_{"A" * 32}", "expires_at": null}}]')
        for number, url in enumerate(urls)
    ]
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        insert = "INSERT INTO webhook_endpoint (id, url, topics, secrets, created_at) VALUES (%s, %s, %s, %s, now())"
        connection.cursor().executemany(
            insert, [(id, url, ["feedback.received"], secrets) for id, url, secrets in rows]
        )
        send_fresh(own, 1, "sealed")

        def count(least: int) -> bool:
            query = "SELECT count(*) FROM webhook_delivery WHERE endpoint_id LIKE 'vector%%' AND jsonb_array_length(log) >= %s"
            return connection.execute(query, [least]).fetchone() == (len(rows),)

        wait_until(lambda: count(1))
        deliveries = "SELECT endpoint_id, message_id, log FROM webhook_delivery WHERE endpoint_id LIKE 'vector%'"
        for endpoint, message, log in connection.execute(deliveries).fetchall():
            results["deliver"][log[0]["result"]] += 1
            path = f"/v1/webhook-endpoints/{endpoint}"
            assert own.request("POST", f"{path}/deliveries/{message}/redeliver").status_code == 200
        wait_until(lambda: count(2))
        logs = "SELECT log FROM webhook_delivery WHERE endpoint_id LIKE 'vector%'"
        for (log,) in connection.execute(logs).fetchall():
            results["redeliver"][log[1]["result"]] += 1
        for id, *_ in rows:
            tested = own.request("POST", f"/v1/webhook-endpoints/{id}/test", json={}).json()
            results["test"][tested["log"][0]["result"]] += 1
        # There is a limit to their number.
        connection.execute("DELETE FROM webhook_endpoint WHERE id LIKE 'vector%'")
    return {name: dict(own) for name, own in results.items()}


def _rebind(own: ServiceProcess, names: NameServer, attempts: int) -> dict[str, int]:
    """Try an endpoint so many times whose name leads elsewhere with each look-up. Return how that ended."""
    created = own.request("POST", "/v1/webhook-endpoints", json=_body("http://flip.example:8080/hook"))
    assert created.status_code == 201, created.text
    path, results = f"/v1/webhook-endpoints/{created.json()['id']}/test", Counter[str]()
    for _ in range(attempts):
        [entry] = own.request("POST", path, json={}).json()["log"]
        results[entry["result"]] += 1
    assert names.look_ups["flip.example"] >= attempts, "each attempt looks the name up"
    return dict(results)


if __name__ == "__main__":
    main(*sys.argv[1:])
