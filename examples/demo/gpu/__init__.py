"""GPUs for a machine that has none: a driver that makes its numbers up, and says so."""
