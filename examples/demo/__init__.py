"""A model server on real data and the traffic for it."""
