"""models.yaml as a registry: listing versions, and changing them without touching the rest."""
