"""The catalogue of event types: one block says what data an event has, what it means and what it posts.

One module per topic; importing this package fills the catalogues of event types and measures.
"""

from app.core.catalogues import import_submodules

import_submodules(__name__)
