"""The catalogue of topics. Each module registers its topics when it is imported."""

from app.core.catalogues import import_submodules

import_submodules(__name__)
