"""Catalogues fill themselves: an entry registers itself when its module is imported."""

from importlib import import_module
from pkgutil import iter_modules


def import_submodules(package: str) -> None:
    """Import every module of a package in alphabetical order, so that a new file of entries needs no second list."""
    for module in iter_modules(import_module(package).__path__, prefix=f"{package}."):
        import_module(module.name)
