"""Streams: events that can only be counted together, such as all changes of an account's subscriptions.

A stream is a pure function of its events in the order in which they occurred. When an event is added, arrives late or is
retracted, the function is applied to the events before and after, and the difference is posted. So the order of arrival
never matters. Importing this package fills the catalogue of streams.
"""

from app.core.catalogues import import_submodules

import_submodules(__name__)
