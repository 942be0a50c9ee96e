"""Generate the published documents: the OpenAPI document, the reference pages and the sources of dbt, from the catalogues.

A page is a module with a function `render()` that returns its Markdown. To add a page, add a module and list it in `PAGES`.
"""

import json
from collections.abc import Callable
from pathlib import Path

from app.cli.publish import (
    charts,
    command_line,
    errors,
    events,
    filters,
    insights,
    mapping,
    metrics,
    settings,
    vendors,
    views,
)
from app.core.settings import Settings
from app.main import build_app

PAGES: dict[str, Callable[[], str]] = {
    "metrics": metrics.render,
    "events": events.render,
    "insights": insights.render,
    "charts": charts.render,
    "filters": filters.render,
    "mapping": mapping.render,
    "vendors": vendors.render,
    "errors": errors.render,
    "settings": settings.render,
    "cli": command_line.render,
    "views": views.render_page,
}


def documents() -> dict[Path, str]:
    """Return the generated files: path in the repository -> content."""
    openapi = build_app(Settings(_env_file=None)).openapi()
    files = {Path("openapi/openapi.json"): json.dumps(openapi, indent=2, ensure_ascii=False) + "\n"}
    files[Path("docs/bi/dbt/models/sources.yml")] = views.render_dbt_sources()
    return files | {Path("docs/reference") / f"{name}.md": render() for name, render in PAGES.items()}
