"""The published documents are those that the catalogues give now, and they are complete."""

import re
from pathlib import Path

import pytest

from app.cli.publish import documents
from app.cli.publish.metrics import read_contract
from app.ingest.define import EVENT_TYPES
from app.ledger.measures import MEASURES
from app.metrics.define import METRICS
from tests.support.service import Service

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", documents(), ids=str)
def test_a_published_document_is_not_stale(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == documents()[path], "run `make publish`"


def test_every_metric_and_every_event_type_has_a_section_of_its_own() -> None:
    pages = documents()
    metrics, events = (pages[Path(f"docs/reference/{name}.md")] for name in ("metrics", "events"))
    assert [name for name in METRICS if metrics.count(f"\n### `{name}`\n") != 1] == []
    assert [name for name in EVENT_TYPES if events.count(f"\n### `{name}`\n") != 1] == []


def test_every_metric_has_a_formula() -> None:
    assert METRICS.keys() - read_contract().formulas.keys() == set()


def test_a_formula_uses_measures_that_exist() -> None:
    formulas = "\n".join(read_contract().formulas.values())
    names = re.findall(r"\b[fs]\((\w+)", formulas)
    assert names and set(names) <= MEASURES.keys()


def test_other_names_of_a_metric_leave_out_those_in_its_title() -> None:
    metrics = documents()[Path("docs/reference/metrics.md")]
    assert "customer acquisition cost" in read_contract().synonyms["cac"]
    assert "Also called: customer acquisition cost" not in metrics
    assert "- Also called: net dollar retention (NDR)\n" in metrics


def test_every_field_of_every_event_type_has_a_meaning() -> None:
    events = documents()[Path("docs/reference/events.md")]
    rows = [line for line in events.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("| |")] == []


def test_the_docs_page_needs_nothing_from_elsewhere(service: Service) -> None:
    page = service.request("GET", "/docs", headers={"Authorization": ""})
    assert page.status_code == 200
    assert "https://" not in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert service.request("GET", f"/static-offline-docs/{name}", headers={"Authorization": ""}).status_code == 200


def test_every_reference_in_the_openapi_document_leads_somewhere(service: Service) -> None:
    document = service.get("/openapi.json")
    names = {f"#/components/{kind}/{name}" for kind, own in document["components"].items() for name in own}

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert references(document) <= names
