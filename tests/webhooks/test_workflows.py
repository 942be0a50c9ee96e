"""The workflows for n8n and the pages of docs/guides/crm: they name what exists, and compute what we sign."""

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pytest

from app.webhooks.define import TOPICS
from tests.support.process import ROOT
from tests.support.receiver import Receiver
from tests.support.service import Service, event
from tests.webhooks.hooks import Hooks
from tests.webhooks.outside import EXAMPLES, HUBSPOT_PATHS, SALESFORCE_PATH, variables_of

PAGES = sorted((ROOT / "docs" / "guides" / "crm").glob("*.md"))
WORKFLOWS = sorted(EXAMPLES.glob("*.n8n.json"))
# By workflow: the topics that the guides subscribe it to, and where it writes.
TOPICS_OF_WORKFLOW = ("mrr.moved", "health.band_changed")
TARGETS = {
    "hubspot": f"https://api.hubapi.com{HUBSPOT_PATHS[0]}",
    "salesforce": f"https://YOUR-DOMAIN.my.salesforce.com{SALESFORCE_PATH}",
}
FIELDS = {
    "hubspot": {"csm_health", "csm_band", "csm_mrr", "csm_nrr"},
    "salesforce": {"Csm_Health__c", "Csm_Band__c", "Csm_Mrr__c", "Csm_Nrr__c"},
}
# The nodes of n8n that are used, by name and version as `packages/nodes-base` of n8n has them.
NODES = {
    "webhook": 2,
    "extractFromFile": 1,
    "crypto": 1,
    "if": 2.2,
    "httpRequest": 4.2,
    "respondToWebhook": 1.1,
}


def name_of(path: Path) -> str:
    return path.name.partition(".")[0]


def nodes_of(path: Path) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in json.loads(path.read_text(encoding="utf-8"))["nodes"]}


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_has_nodes_that_exist_and_every_path_ends_with_a_response(path: Path) -> None:
    workflow = json.loads(path.read_text(encoding="utf-8"))
    nodes = nodes_of(path)
    assert len(nodes) == len(workflow["nodes"]) == len({node["id"] for node in workflow["nodes"]})
    for node in nodes.values():
        kind = node["type"].removeprefix("n8n-nodes-base.")
        assert NODES[kind] == node["typeVersion"]
    exits = {
        name: [[target["node"] for target in branch] for branch in own["main"]]
        for name, own in workflow["connections"].items()
    }
    assert exits.keys() == {name for name, node in nodes.items() if not node["type"].endswith("respondToWebhook")}
    for name, branches in exits.items():
        has_two = nodes[name]["type"].endswith((".if", ".httpRequest"))
        assert len(branches) == (2 if has_two else 1) and all(len(branch) == 1 for branch in branches)
        assert all(target in nodes for branch in branches for target in branch)
    codes = {name: node["parameters"]["options"]["responseCode"] for name, node in nodes.items() if name not in exits}
    assert codes == {"Done": 204, "Try again": 503, "Refuse": 401}
    assert exits["Is genuine?"][1] == ["Refuse"] and exits["Is a test?"][0] == ["Done"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_asks_for_an_overview_that_has_what_it_writes(path: Path, service: Service) -> None:
    service.send(
        event("subscription.changed", at="2025-01-10", subscription_id="one", mrr="100"),
        event("subscription.changed", at="2025-09-10", subscription_id="one", mrr="130"),
    )
    nodes, name = nodes_of(path), name_of(path)
    asked = nodes["Overview"]["parameters"]["url"].removeprefix("=https://YOUR-ADDRESS")
    asked = re.sub(r"\{\{.*?\}\}", "acme", asked)
    overview = service.get(urlsplit(asked).path, **dict(parse_qsl(urlsplit(asked).query)))
    [target] = [node for node in nodes.values() if node["parameters"].get("method") == "PATCH"]
    body = target["parameters"]["jsonBody"]
    paths = re.findall(r"\$json\.body\.([\w.]+)", body)
    assert set(paths) == {"health.score", "health.band", "health.mrr", "metrics.find"}
    assert {"score", "band", "mrr"} <= overview["health"].keys()
    [metric] = re.findall(r"find\(\(own\) => own\.metric === '(\w+)'\)\.latest\.value", body)
    [nrr] = [own for own in overview["metrics"] if own["metric"] == metric]
    assert (metric, nrr["latest"]["value"], overview["id"]) == ("nrr", 130, "acme")
    assert set(re.findall(r"\b(csm_\w+|Csm_\w+):", body)) == FIELDS[name]
    assert target["parameters"]["url"].startswith(f"={TARGETS[name]}{{{{ encodeURIComponent($json.body.id) }}}}")
    query = dict(parse_qsl(urlsplit(target["parameters"]["url"]).query))
    assert query == ({"idProperty": "csm_account_id"} if name == "hubspot" else {"updateOnly": "true"})


@pytest.mark.parametrize("topic", TOPICS_OF_WORKFLOW)
def test_each_topic_of_a_workflow_names_the_account(topic: str) -> None:
    data = TOPICS[topic].example
    jsonschema.validate(data, TOPICS[topic].schema)
    assert data["account"]["id"] and "account" in TOPICS[topic].schema["required"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_computes_the_signature_that_we_send(
    path: Path, service: Service, hooks: Hooks, target: Receiver
) -> None:
    secret = "a-text-for-n8n-and-this-service"
    key = "whsec_" + base64.b64encode(secret.encode()).decode()
    hooks.create(f"{target.url}/ok/{path.name}", "mrr.moved", secret=key)
    service.send(event("subscription.changed", at="2026-03-15", subscription_id="one", mrr="100"))
    hooks.deliver()
    [row] = target.received(f"/ok/{path.name}")
    node = nodes_of(path)["Signature"]["parameters"]
    assert (node["action"], node["type"], node["encoding"]) == ("hmac", "SHA256", "base64")
    text = node["value"].removeprefix("=")
    for name in ("webhook-id", "webhook-timestamp"):
        text = text.replace(f"{{{{ $('Webhook').item.json.headers['{name}'] }}}}", row["headers"][name])
    text = text.replace("{{ $json.body }}", row["body"].decode())
    digest = base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha256)).decode()
    assert row["headers"]["webhook-signature"].split(" ") == [f"v1,{digest}"]
    pages = (ROOT / "docs" / "guides" / "crm" / "hubspot.md").read_text(encoding="utf-8")
    assert f"`{secret}`" in pages and key in pages


def commands_in(page: Path) -> str:
    return "\n".join(re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))


def test_the_guides_set_all_variables_of_the_examples_and_no_others() -> None:
    """Of a receiver, the block that starts it sets all that it needs, and installs what it imports."""
    started = set()
    for page in PAGES:
        for block in re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            names = re.findall(r"uvicorn (\w+):app|python (\w+)\.py", block)
            for name in (receiver or script for receiver, script in names):
                started.add(name)
                assert set(re.findall(r"\b([A-Z_]+)=", block)) == variables_of(name)
                imports = set(
                    re.findall(r"^(?:from|import) (\w+)", (EXAMPLES / f"{name}.py").read_text(), re.MULTILINE)
                )
                for package in ("fastapi", "httpx", "standardwebhooks", "uvicorn"):
                    needs = package in imports or (package == "uvicorn" and name.endswith("receiver"))
                    assert not needs or "pip install" not in block or package in block
    assert started == {path.stem for path in EXAMPLES.glob("*_*.py")} - {"webhook_receiver"}


def test_the_fields_that_the_guides_create_are_those_that_the_examples_write() -> None:
    for vendor, pattern in (("hubspot", r"^    \| `(csm_\w+)`"), ("salesforce", r"^    \| `(Csm_\w+)`")):
        page = (ROOT / "docs" / "guides" / "crm" / f"{vendor}.md").read_text(encoding="utf-8")
        suffix = "__c" if vendor == "salesforce" else ""
        created = {name + suffix for name in re.findall(pattern, page, re.MULTILINE)}
        assert len(created) == 5
        for path in EXAMPLES.glob(f"{vendor}*"):
            written = set(re.findall(r"\b(csm_[a-z]\w*|Csm_\w+)\b", path.read_text(encoding="utf-8"))) - {
                "csm_webhooks"
            }
            assert written <= created, path


def test_the_fields_of_messages_that_the_guides_name_exist() -> None:
    """`data account id` is how no-code tools show a field of a payload."""
    examples = [TOPICS[name].example for name in TOPICS]
    for page in PAGES:
        for text in re.findall(r"`data ([\w ]+)`", page.read_text(encoding="utf-8")):
            values: list[Any] = examples
            for part in text.split():
                values = [own[part] for own in values if isinstance(own, dict) and part in own]
            assert values, f"{page.name}: {text}"
