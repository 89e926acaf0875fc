"""The processes that Prometheus scrapes."""
