"""The catalogue of the kinds of components. Every module of this package registers the kinds in it."""

from app.core.catalogues import import_submodules

import_submodules(__name__)
