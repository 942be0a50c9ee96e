"""The catalogue of entity sets, one module for each or for those that belong together; importing this package fills it."""

from app.core.catalogues import import_submodules

import_submodules(__name__)
