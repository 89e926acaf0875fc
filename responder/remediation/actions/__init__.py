"""Doing an action: each kind in a module of its own, all with the same result."""

from responder.remediation.actions.perform import Doing, Done, is_repeatable, perform

__all__ = ["Doing", "Done", "is_repeatable", "perform"]
