"""Draws the generated Grafana dashboards from a running Prometheus, without Grafana."""
