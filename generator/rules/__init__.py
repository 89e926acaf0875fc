"""Expressions become rules."""
