"""Alertmanager's webhook: one structured log line per notification."""
