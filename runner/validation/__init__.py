"""A document to the list of all that is wrong with it; sends nothing and changes nothing."""

from runner.validation.checker import Rules, check

__all__ = ["Rules", "check"]
