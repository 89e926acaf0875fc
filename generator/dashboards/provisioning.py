"""The two files that tell Grafana where Prometheus is and where the dashboards lie.

Both name environment variables, which Grafana replaces when it starts, so that the same files serve
a native Grafana and one in a container.
"""

from __future__ import annotations

from contract.spec import Spec
from generator.text import render_yaml

__all__ = ["render_provisioning"]


def render_provisioning(spec: Spec) -> dict[str, str]:
    """Paths below provisioning/ and their texts."""
    return {
        "datasources/prometheus.yml": render_yaml(
            {
                "apiVersion": 1,
                "datasources": [
                    {
                        "name": "Prometheus",
                        "uid": "prometheus",
                        "type": "prometheus",
                        "access": "proxy",
                        "url": "${PROMETHEUS_URL}",
                        "isDefault": True,
                        "editable": False,
                        "jsonData": {
                            "httpMethod": "POST",
                            "prometheusType": "Prometheus",
                            # The shortest step of a graph: closer points would repeat a scrape.
                            "timeInterval": str(spec.clock(spec.stack.scrape_interval)),
                        },
                    }
                ],
            }
        ),
        "dashboards/ml.yml": render_yaml(
            {
                "apiVersion": 1,
                "providers": [
                    {
                        "name": "ml-observability",
                        "folder": "ML observability",
                        "type": "file",
                        "allowUiUpdates": False,
                        "options": {
                            "path": "${DASHBOARDS_PATH}",
                            "foldersFromFilesStructure": False,
                        },
                    }
                ],
            }
        ),
    }
