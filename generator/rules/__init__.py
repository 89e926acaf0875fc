"""Expressions become rules, and rules get tests that prove them."""
