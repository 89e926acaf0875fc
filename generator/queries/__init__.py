"""Every PromQL expression, once: `recorded` fills the normalised names, `alerting` reads them."""
