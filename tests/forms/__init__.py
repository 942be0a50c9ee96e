import pytest

# Failures of its checks show the values.
pytest.register_assert_rewrite("tests.forms.forms")
