"""Benchmarks, each beside what one would use otherwise: `make bench-NAME`."""
