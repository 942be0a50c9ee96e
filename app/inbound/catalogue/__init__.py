"""The catalogue of vendors, one module a vendor; importing this package fills it."""

from app.core.catalogues import import_submodules

import_submodules(__name__)
