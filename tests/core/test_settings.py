"""Settings from the environment: what is misspelt is named, for it would be ignored."""

import pytest

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
