r"""The prediction log: what was acknowledged survives, and labels find their predictions.

    requests --commits--> one group --sqlite or postgres--> durable --> counted, then answered

One thread makes groups of whatever has arrived while the last group was written, so that many
requests share one fsync. `batch` has what goes in and what comes of it. `index` finds predictions
by id in memory, in front of the SQLite file; PostgreSQL does that itself. `export` reads the log.
"""
