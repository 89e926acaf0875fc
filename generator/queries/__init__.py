"""Every PromQL expression, once."""
