"""One step of a turn per file. A node reads the turn, uses its deps, returns the fields it writes."""

from nodes.deps import Deps

__all__ = ["Deps"]
