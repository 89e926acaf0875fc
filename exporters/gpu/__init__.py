"""NVML in, metrics out."""
