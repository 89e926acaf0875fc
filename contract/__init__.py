"""What exporters, generator and responder share: names, the spec, profiles, problems, log lines.

Imports nothing else of this project.
"""
