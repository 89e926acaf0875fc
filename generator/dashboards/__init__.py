"""Expressions become panels."""
