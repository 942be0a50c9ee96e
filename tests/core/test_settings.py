"""Settings from the environment: what is misspelt is named, for it would be ignored."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.core.sentences import explain
from app.core.settings import Settings, misspelt_settings

MISSPELT = {
    "BASE_CURENCY": "BASE_CURRENCY",
    "base-currency": "BASE_CURRENCY",
    "DATABASE_URI": "DATABASE_URL",
    "REPORTING_TIME_ZONE": "REPORTING_TIMEZONE",
    "LOGLEVEL": "LOG_LEVEL",
    "FISCAL_YEAR_STARTS": "FISCAL_YEAR_START",
}
OTHERS = ["HOSTNAME", "HOME", "PATH", "POST", "TZ", "PGHOST", "USER", "LANG", "PWD", "SHELL", "TERM", "VIRTUAL_ENV"]


@pytest.mark.parametrize(("name", "setting"), MISSPELT.items())
def test_a_variable_that_looks_like_a_setting_is_named_with_the_one_that_is_meant(name: str, setting: str) -> None:
    assert misspelt_settings([name, *OTHERS]) == {name: setting}


def test_settings_themselves_and_what_resembles_one_that_is_set_are_not_named() -> None:
    names = [name.upper() for name in Settings.model_fields]
    assert misspelt_settings([*names, *OTHERS, "DATABASE_URI", *(name.lower() for name in names)]) == {}


WRONG = {
    "forwarded_allow_ips": [
        ("proxy.internal", "'proxy.internal' is not an IP address or a network"),
        ("10.0.0.7, 10.0.0.0/33", "'10.0.0.0/33'"),
        ("10.0.0.7,*", "'*'"),
    ],
    "question_timeout": [(0, "must be more than 0.")],
    "gross_margin": [(80, "must be at most 1.")],
    "port": [(99_999, "must be at most 65,535.")],
}


@pytest.mark.parametrize(("name", "value", "text"), [(name, *case) for name, cases in WRONG.items() for case in cases])
def test_a_wrong_value_is_refused_with_what_is_right(name: str, value: Any, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**{name: value})
    [error] = caught.value.errors()
    assert text in explain(error)


@pytest.mark.parametrize("text", ["", "*", "127.0.0.1", "10.0.0.7, 10.0.0.0/8 ,2001:db8::/32"])
def test_proxies_are_addresses_and_networks(text: str) -> None:
    assert Settings(forwarded_allow_ips=text).forwarded_allow_ips == text


def test_the_key_of_prometheus_is_not_the_admin_key() -> None:
    key: Any = "one key for everything"
    with pytest.raises(ValidationError, match="PROMETHEUS_KEY and ADMIN_KEY are the same"):
        Settings(admin_key=key, prometheus_key=key)
