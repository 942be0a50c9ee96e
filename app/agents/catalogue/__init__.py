"""The catalogue of tools, one module per topic; importing this package fills it."""

from app.core.catalogues import import_submodules

import_submodules(__name__)
