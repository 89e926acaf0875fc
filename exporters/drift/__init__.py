"""Counts over windows against reference profiles."""
