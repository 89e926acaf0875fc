"""How well models predict, as functions of counts: with labels, and estimated without."""
