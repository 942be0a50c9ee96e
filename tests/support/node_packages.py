"""The packages of Node that tests use; `make test` installs them."""

import shutil
import sys
from pathlib import Path

import pytest


def node_modules() -> Path:
    """Return the folder of the packages of Node. Skips the test without them."""
    folder = Path(sys.prefix) / "node" / "node_modules"
    if shutil.which("node") is None or not folder.exists():
        pytest.skip("node or its packages are missing (`make clients` installs these), so NO PROGRAM OF NODE IS TRIED")
    return folder
