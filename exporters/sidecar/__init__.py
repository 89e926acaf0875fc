"""Prediction events in, counters out."""
