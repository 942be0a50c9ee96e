"""The reference page of settings."""

from collections.abc import Iterator

from app.cli.publish.markdown import code, page, table
from app.core.settings import Settings

INTRO = """Settings are environment variables, or lines of a file `.env` in the folder in which the service is started. An
environment variable wins over the file, and an empty value counts as unset."""

NOTES = """## Fixed at the first start

`BASE_CURRENCY`, `REPORTING_TIMEZONE`, `FISCAL_YEAR_START` and `WEEK_START` belong to the data. A start with other values stops
and says so. `csmetrics rebuild --adopt-settings` changes the time zone, the fiscal year and the first day of the week for all of
history. It changes the currency only as long as no money has been recorded. Stop the service before you run it.

## Gross margin

The gross margin has a history by date. When you start the service with another value, the new value counts from that day on, and
answers for earlier periods stay the same. A period uses the margin of its last day. Without the setting, the last value stays.

## Data directory

Without `DATA_DIR` the embedded PostgreSQL keeps its files in `./data`. As root it runs as the user `pgserver`, its default
folder is `/var/lib/customer-success-metrics`, and a `DATA_DIR` that this user cannot reach is refused."""


def render() -> str:
    """Return the page."""
    return page("Settings", INTRO, table(("setting", "default", "meaning"), rows()), NOTES)


def rows() -> Iterator[list[str]]:
    """Yield the settings in their order: name, default, description."""
    for name, field in Settings.model_fields.items():
        unset = field.default is None or field.default == ""
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        yield [code(name.upper()), "" if unset else code(default), field.description or ""]
