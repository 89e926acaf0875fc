"""Versions of a model that serve at once, held against each other."""
