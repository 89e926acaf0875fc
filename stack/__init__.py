"""The native stack: make up, make down, make status."""
