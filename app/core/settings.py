"""Every setting of the service with its default and its description, read from the environment or a `.env` file.

Only this module reads the environment.
"""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.setting_checks import (
    check_addresses,
    check_currency,
    check_database_url,
    check_key,
    check_origins,
    check_public_url,
    check_receivers,
    check_zone,
)

# Whoever comes back after a quarter in which nothing was sent finds a service that works.
DEFAULT_MAX_CLOCK_JUMP_DAYS = 92
# A month of billing that is loaded at its end is still news.
DEFAULT_CLOSING_DAYS = 5
DEFAULT_WEBHOOK_EVENT_DAYS = 31
_ENV_FILE = ".env"
# How alike a variable has to be to a setting to be taken for a misspelt one, from 0 to 1.
_LIKENESS = 0.85


class Settings(BaseSettings):
    """The settings. The environment variable of a setting is its name in capitals."""

    model_config = SettingsConfigDict(env_file=_ENV_FILE, extra="ignore", frozen=True, env_ignore_empty=True)

    @cached_property
    def path_prefix(self) -> str:
        """The path of `public_url`, such as `/csm`; empty without one."""
        return urlsplit(self.public_url or "").path

    @cached_property
    def public_origin(self) -> str:
        """`public_url` without its path; empty where it is unset."""
        return (self.public_url or "").removesuffix(self.path_prefix)

    @cached_property
    def agent_origins(self) -> frozenset[str]:
        """The origins whose web pages may use the MCP server: that of the service itself, and those of the setting."""
        further_origins = (part.strip() for part in self.mcp_allowed_origins.split(","))
        return frozenset(origin.casefold() for origin in (self.public_origin, *further_origins) if origin)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Set the secrets that are in files."""
        secrets = {}
        for name in ("database_url", "admin_key", "prometheus_key"):
            if (path := values.get(f"{name}_file")) is None:
                continue
            if values.get(name) is not None:
                raise ValueError(f"{name.upper()} and {name.upper()}_FILE are both set; set only one of them")
            try:
                secrets[name] = Path(path).read_text(encoding="utf-8").strip()
                if not secrets[name]:
                    raise ValueError(f"{name.upper()}_FILE: {path} is empty")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not a text file"
                raise ValueError(f"{name.upper()}_FILE: {path} cannot be read: {reason}") from error
        return values | secrets

    @model_validator(mode="after")
    def _check_keys_differ(self) -> "Settings":
        if self.prometheus_key is not None and self.prometheus_key == self.admin_key:
            raise ValueError(
                "PROMETHEUS_KEY and ADMIN_KEY are the same, and Prometheus could do everything; choose another one"
            )
        return self

    database_url: Annotated[SecretStr | None, AfterValidator(check_database_url)] = Field(
        None, description="URL of a PostgreSQL database, version 16 or later. If unset, the embedded PostgreSQL runs."
    )
    database_url_file: Path | None = Field(
        None,
        description="File that contains the database URL, instead of `DATABASE_URL`: for secrets mounted as files.",
    )
    data_dir: Path | None = Field(
        None,
        description="Folder of the embedded PostgreSQL. "
        "If unset: `./data`, or `/var/lib/customer-success-metrics` when run as root.",
    )
    admin_key: Annotated[SecretStr | None, AfterValidator(check_key)] = Field(
        None,
        description="An API key with scope `admin` that always works; at least 16 characters. "
        "If unset, the first start creates a key and prints it.",
    )

    admin_key_file: Path | None = Field(None, description="File that contains the admin key, instead of `ADMIN_KEY`.")
    prometheus_key: Annotated[SecretStr | None, AfterValidator(check_key)] = Field(
        None,
        description="A key that may read `/metrics/prometheus` and nothing else, also while the database is away; at least 16 "
        "characters. Keys with scope `read` may read it, too.",
    )
    prometheus_key_file: Path | None = Field(
        None, description="File that contains the Prometheus key, instead of `PROMETHEUS_KEY`."
    )

    host: str = Field(
        "127.0.0.1", description="Address to listen on. `0.0.0.0` accepts connections from other machines."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on. With 0 the system chooses a free port.")
    workers: int = Field(1, ge=1, le=64, description="Number of processes that serve requests.")
    public_url: Annotated[str | None, AfterValidator(check_public_url)] = Field(
        None,
        description="URL under which clients reach the service. Links begin with it. Below a path, such as "
        "`https://example.com/csm`, requests are served with and without this path.",
    )
    forwarded_allow_ips: Annotated[str, AfterValidator(check_addresses)] = Field(
        "",
        description="IP addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-*` headers are trusted, separated by "
        "commas. `*` trusts everybody: only where nobody but the proxy can connect.",
    )

    base_currency: Annotated[str, AfterValidator(check_currency)] = Field(
        "USD",
        description="Currency of all numbers, as an ISO 4217 code. Fixed at the first start.",
    )
    reporting_timezone: Annotated[str, AfterValidator(check_zone)] = Field(
        "UTC", description="IANA time zone in which days begin and end. Fixed at the first start."
    )
    fiscal_year_start: int = Field(
        1, ge=1, le=12, description="Month (1 to 12) in which the fiscal year begins. Fixed at the first start."
    )
    week_start: Literal["monday", "sunday"] = Field(
        "monday", description="First day of the week: `monday` or `sunday`. Fixed at the first start."
    )
    gross_margin: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Gross margin as a share of revenue, for customer lifetime value and CAC payback. "
        "A new value applies from the day on which the service starts with it.",
    )

    max_clock_jump_days: int = Field(
        DEFAULT_MAX_CLOCK_JUMP_DAYS,
        ge=1,
        description="Most days by which the clock may be ahead of the last day on which anything was recorded. "
        "A clock that is further ahead is probably wrong: nothing is recorded until `csmetrics clock accept`.",
    )

    migrate_on_start: bool = Field(
        True, description="Migrate the database at every start. If false, run `csmetrics migrate` after each upgrade."
    )
    database_wait_seconds: float = Field(
        60, ge=0, description="Seconds for which a start waits until the database accepts connections, before it fails."
    )
    pool_size: int = Field(
        8,
        ge=1,
        le=200,
        description="Most database connections that each worker opens for writes. It opens up to 4 more to look up keys.",
    )
    questions_at_once: int = Field(
        4,
        ge=1,
        le=200,
        description="Questions that each worker answers at the same time. They have as many database connections of their own, "
        "so that they do not keep events waiting.",
    )
    questions_per_key: int = Field(
        3,
        ge=1,
        le=200,
        description="Questions of one key that each worker answers at the same time. More of them wait.",
    )
    questions_per_minute: int = Field(
        60_000,
        ge=1,
        description="Questions of one key that each worker answers in a minute. More get 429; the header `RateLimit` says how "
        "many are left.",
    )
    question_timeout: float = Field(
        30, gt=0, le=3600, description="Seconds that a question may take before it is stopped and answered with 422."
    )
    question_wait: float = Field(
        10,
        gt=0,
        le=600,
        description="Seconds that a question may wait for others before it is answered with 429 (of its own key) or 503.",
    )
    answer_memory_bytes: int = Field(
        64 * 2**20,
        ge=0,
        description="Bytes of answers that each worker keeps in memory, to answer the same question again while the data has not "
        "changed. An answer may take an eighth of it. With 0 none is kept.",
    )
    max_body_bytes: int = Field(
        16 * 2**20, ge=1024, description="Largest request body in bytes, as received. Larger ones get 413."
    )
    max_inflated_bytes: int = Field(
        64 * 2**20, ge=1024, description="Largest request body in bytes after decompression. Larger ones get 413."
    )
    inbound_retention_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="Days for which deliveries from other systems are kept as they were received, to be looked at and replayed. "
        "The events that they became stay.",
    )
    alert_history_days: int = Field(
        400,
        ge=31,
        le=3650,
        description="Days for which the history of alerts is kept, that is, when they triggered and resolved.",
    )
    request_seconds: float = Field(
        60,
        gt=0,
        description="Seconds within which a request body must arrive, and within which a client must read on.",
    )
    download_seconds: float = Field(
        600,
        gt=0,
        description="Seconds for which an answer of more than 10,000 rows waits for its client to read it, before it is cut "
        "off.",
    )
    header_seconds: float = Field(
        10, gt=0, description="Seconds within which request headers must arrive, before the connection is closed."
    )
    shutdown_seconds: float = Field(
        10, gt=0, description="Seconds after which a stopping service ends, even if requests are still running."
    )
    webhook_worker: bool = Field(
        True,
        description="Whether `csmetrics serve` evaluates alerts and delivers webhooks. If false, run `csmetrics work` beside it, "
        "in one process or in several.",
    )
    closing_days: int = Field(
        DEFAULT_CLOSING_DAYS,
        ge=0,
        le=366,
        description="Days after the end of a period within which its numbers still settle. Later changes are published as "
        "restatements by webhooks.",
    )
    webhook_allow_http: bool = Field(
        False, description="Whether webhook endpoints may have http:// URLs, which anybody on the way can read."
    )
    webhook_allowed_networks: Annotated[str, AfterValidator(check_receivers)] = Field(
        "",
        description="Internal receivers of webhooks: host names, IP addresses or networks (`10.1.0.0/16`), separated by commas. "
        "All other addresses that are not public are refused.",
    )
    webhook_timeout: float = Field(
        15,
        gt=0,
        le=30,
        description="Seconds within which a receiver of webhooks must answer, including the time to connect.",
    )
    webhook_history_days: int = Field(
        30, ge=2, le=3650, description="Days for which messages of webhooks and their deliveries are kept."
    )
    webhook_event_days: int = Field(
        DEFAULT_WEBHOOK_EVENT_DAYS,
        ge=1,
        le=3650,
        description="Days after which an event that arrives late is history: `feedback.received` and `mrr.moved` are not sent "
        "for it.",
    )
    mcp_allowed_origins: Annotated[str, AfterValidator(check_origins)] = Field(
        "",
        description="Origins of web pages and desktop programs, such as `https://agents.example.com`, that may use the MCP "
        "server besides that of `PUBLIC_URL`, separated by commas. Programs that send no `Origin` may always use it.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged. `info` includes one line for each request."
    )


def read_variable(name: str) -> str | None:
    """Return an environment variable that is no setting: one of a library, or one that a parent sets for its workers."""
    return os.environ.get(name)


def export_variable(name: str, value: str) -> None:
    """Set an environment variable for a library that has no other setting, in this process and in those that it starts."""
    os.environ[name] = value


def misspelt_settings(names: Iterable[str] | None = None) -> dict[str, str]:
    """Return the variables that look like misspelt settings, each with the setting that is probably meant.

    names: of the variables; by default, of the environment and of the file.
    """
    variables = {*os.environ, *dotenv_values(_ENV_FILE)} if names is None else {*names}
    settings = [name.upper() for name in Settings.model_fields]
    # One that is set correctly is not meant by another.
    missing = [setting for setting in settings if setting not in {name.upper() for name in variables}]
    matches = {name: get_close_matches(name.upper(), missing, n=1, cutoff=_LIKENESS) for name in sorted(variables)}
    return {name: match[0] for name, match in matches.items() if match and name.upper() not in settings}
