"""models.yaml in, configuration, rules, dashboards and pages out."""
