"""The catalogue of charts, one module per topic; importing this package fills it.

Of the charts of one kind of answer, those of earlier modules are tried first.
"""

from app.core.catalogues import import_submodules

import_submodules(__name__)
