"""What decides what reaches a model and what reaches a customer. One guard a file; `base.py` says how."""

from guards.checks import Guards, InputCheck, OutputCheck, PassageCheck
from guards.placeholders import unmask
from guards.scope import ScopeFilter, ScopeVerdict

__all__ = ["Guards", "InputCheck", "OutputCheck", "PassageCheck", "ScopeFilter", "ScopeVerdict", "unmask"]
