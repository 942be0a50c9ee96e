"""Fill the catalogues of the packages, which do not know each other."""

from importlib import import_module

_PACKAGES = (
    "app.ingest.catalogue",
    "app.metrics.catalogue",
    "app.health.catalogue",
    "app.health.checks",
    "app.health.schemas",
    "app.health.changes",
    "app.health.customer_health",
    "app.health.account_health",
    "app.health.annotations",
    "app.audit.annotations",
    "app.audit.identities",
    "app.audit.restatements",
    "app.feedback.open_detractors",
    "app.scorecard.annotations",
    "app.scorecard.standings",
    "app.insights.catalogue",
    "app.charts.catalogue",
    "app.inbound.catalogue",
    "app.inbound.erase",
    "app.webhooks.catalogue",
    "app.webhooks.causes",
    "app.alerts.changes",
    "app.bi.health",
    "app.bi.update",
    "app.agents.catalogue",
    "app.odata.catalogue",
)


def load_catalogues() -> None:
    """Fill the catalogues of event types, measures, streams, metrics, identities, vendors, offers and entity sets.

    A process that uses them calls this once.
    """
    for package in _PACKAGES:
        import_module(package)
