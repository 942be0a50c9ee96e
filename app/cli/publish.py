"""What is written about the catalogues, from the catalogues: the OpenAPI document and the reference page."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from app.accounts.attributes import ACCOUNT_UPDATED
from app.core.settings import Settings
from app.ingest.define import EVENT_TYPES
from app.ingest.schemas import example_event
from app.ledger.measures import MEASURES, EventView, activities_of, lines_of, stream_name_of
from app.ledger.surveys import Survey
from app.main import build
from app.metrics.define import METRICS, Metric


def documents() -> dict[Path, str]:
    """The generated files: path in the repository -> content."""
    document = build(Settings(_env_file=None)).openapi()
    return {
        Path("openapi/openapi.json"): json.dumps(document, indent=2, ensure_ascii=False) + "\n",
        Path("docs/reference.md"): "\n".join(_reference()) + "\n",
    }


def _reference() -> Iterable[str]:
    yield "# Reference"
    yield ""
    yield "Generated from the catalogues by `csmetrics publish`; a test fails when it is stale."
    yield ""
    yield "## Metrics"
    yield ""
    yield "Shares come with Wilson's interval at 95 %, the Net Promoter Score with the adjusted Wald interval (Rocks 2016)."
    yield "What adds up over groups does so within a period, for the groups of one attribute. What adds up over time does"
    yield "so where accounts stay in their groups: without a grouping or filter by attributes, or with `segments_as_of=now`."
    yield "A metric that others count differently has conventions, asked for with `convention=`, or side by side with"
    yield "`GET /v1/metrics/{metric}/conventions`; after each stands who counts so."
    yield ""
    for name in sorted(METRICS):
        yield from _metric(METRICS[name])
    yield "## Measures"
    yield ""
    yield "The countable things in the ledger that metrics are made of."
    yield ""
    yield "| measure | what it counts | subject | channel |"
    yield "|---|---|---|---|"
    for measure in sorted(MEASURES.values(), key=lambda measure: measure.name):
        yield f"| `{measure.name}` | {measure.description} | {measure.subject or ''} | {'yes' if measure.channel else ''} |"
    yield ""
    yield "## Events"
    yield ""
    yield "Every event has `id` (unique within its account), `type`, `account_id`, `occurred_at` (RFC 3339) and `data`;"
    yield "`user_id` where a person did it, and `recorded_on` (a date, scope admin) for history."
    yield ""
    for name in EVENT_TYPES:
        yield from _event(name)


def _metric(metric: Metric) -> Iterable[str]:
    low, high = (("" if bound is None else f"{bound:g}") for bound in metric.range)
    example = ", ".join(f"{name} = {_plain(value)}" for name, value in metric.example.items() if name != "equals")
    yield f"### `{metric.name}`: {metric.title}"
    yield ""
    yield metric.description
    yield ""
    yield f"- Unit: {metric.unit}; range: {low} … {high}; better: {metric.better}; version {metric.version}"
    yield f"- Made of: {', '.join(f'`{name}`' for name in metric.operands)}"
    yield f"- Adds up over: {' and '.join(metric.adds_over) or 'nothing'}"
    yield f"- Broken down by: account, segment, any attribute{''.join(f', {name}' for name in metric.dimensions)}"
    yield f"- Example: {example} → **{round(float(metric.example['equals']), 6):g}**"
    if metric.others:
        yield f"- Conventions: `{metric.convention}` (the default). {metric.counted_by}"
    for convention, other in metric.others.items():
        yield f"  - `{convention}`: {other.description} {other.counted_by}"
    yield ""


def _plain(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _posted(name: str) -> str:
    """What an event of this type counts for; of a survey's answer, what every one of them does."""
    kind = EVENT_TYPES[name]
    survey = Survey("nps", "nps", 0, 10, None, None, None, answered=True)
    fact = EventView(name, "ada", kind.example, survey)
    if name == ACCOUNT_UPDATED:
        return "Posts nothing; it says to which segments the account belongs."
    posted = [line.measure.name for line in lines_of(fact)] + [seen.presence.name for seen in activities_of(fact)]
    said = [f"Posts, in this example: {', '.join(f'`{name}`' for name in dict.fromkeys(posted))}."] if posted else []
    if stream := stream_name_of(fact):
        said.append(f"Belongs to the stream `{stream.partition(' ')[0]}`, which says what its events mean together.")
    if not said:
        said = [
            "Kept, and not counted yet: the metrics made of it are to come, and history is then posted by `rebuild`."
        ]
    return " ".join(said)


def _event(name: str) -> Iterable[str]:
    kind = EVENT_TYPES[name]
    properties: dict[str, Any] = kind.adapter.json_schema()["$defs"]
    data = next(schema for schema in properties.values() if "extra" in schema.get("properties", {}))
    needed = data.get("required", [])
    fields = [f"`{field}`{'' if field in needed else '?'}" for field in data["properties"] if field != "extra"]
    yield f"### `{name}`"
    yield ""
    yield f"{kind.description}{' Needs `user_id`.' if kind.needs_user else ''}"
    yield ""
    yield f"Data: {', '.join(fields) or 'none'}; `extra`? (an object, kept with the event)."
    yield ""
    yield _posted(name)
    yield ""
    yield "```json"
    yield json.dumps(example_event(name))
    yield "```"
    yield ""
