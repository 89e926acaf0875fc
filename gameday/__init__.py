"""make gameday: breaks the demo in every way that an alert claims to catch, and says what came."""
