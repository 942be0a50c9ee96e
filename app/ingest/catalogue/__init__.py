"""The catalogue of event types: one block says what data an event has, what it means and what it posts.

One module per topic. The docstring and the descriptions of the fields are published in the OpenAPI document and in the
reference. Importing this package fills the catalogues of event types and measures.
"""

from app.core.catalogues import import_submodules

import_submodules(__name__)
