"""Every setting of the service, with its default and a sentence; read from the environment or a `.env` file.

This is the only place that reads the environment.
"""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def check_zone(name: str) -> str:
    """The name of a time zone. Raises ValueError for another."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Berlin") from error
    return name


def _long_enough(key: SecretStr | None) -> SecretStr | None:
    if key is not None and len(key.get_secret_value()) < 16:
        raise ValueError("a key has at least 16 characters")
    return key


class Settings(BaseSettings):
    """The table of settings: name, default, and what it is for."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    database_url: SecretStr | None = Field(None, description="PostgreSQL 16 or later; unset: the embedded server.")
    data_dir: Path | None = Field(None, description="Where the embedded PostgreSQL keeps its files; unset: ./data.")
    admin_key: Annotated[SecretStr | None, AfterValidator(_long_enough)] = Field(
        None, description="A key with scope admin that always works; 16 characters at least."
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Processes that answer requests.")
    public_url: str | None = Field(None, description="How clients reach the service; used in links.")
    forwarded_allow_ips: str = Field("", description="Proxies whose X-Forwarded-* headers are believed.")

    base_currency: str = Field("USD", pattern="^[A-Z]{3}$", description="Currency of the books; fixed at first start.")
    reporting_timezone: Annotated[str, AfterValidator(check_zone)] = Field(
        "UTC", description="Time zone in which a day begins; fixed at first start."
    )
    fiscal_year_start: int = Field(1, ge=1, le=12, description="Month in which the fiscal year begins; fixed too.")
    gross_margin: float = Field(1.0, gt=0, le=1, description="Share of revenue that is margin, for CLV.")

    migrate_on_start: bool = Field(True, description="Bring the database up to date before serving.")
    database_wait_seconds: float = Field(60, ge=0, description="How long a start waits for the database.")
    pool_size: int = Field(8, ge=1, le=200, description="Database connections of one worker.")
    max_body_bytes: int = Field(16 * 2**20, ge=1024, description="Largest request body, as received.")
    max_inflated_bytes: int = Field(64 * 2**20, ge=1024, description="Largest request body, decompressed.")
    request_seconds: float = Field(60, gt=0, description="A request that takes longer to arrive is refused.")
    header_seconds: float = Field(10, gt=0, description="Headers that take longer to arrive close the connection.")
    shutdown_seconds: float = Field(10, gt=0, description="What running requests get to finish at a stop.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
