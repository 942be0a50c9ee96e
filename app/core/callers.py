"""Who sends the request that is being served: what limits for a single client count by."""

from contextvars import ContextVar

# The id of the key of the request; empty outside requests, such as on the command line.
current_caller: ContextVar[str] = ContextVar("current_caller", default="")
