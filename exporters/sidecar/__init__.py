r"""Prediction events and labels in, counters out: the process beside a model server.

    bytes --body--> events --intake--> counts of each model version --families--> /metrics
                                  \-> labels: predictions that wait for what turned out to be true

`layout` says what is counted of a model version, `web` and `status` are the ways in and out.
`client` is for model servers, and imports nothing of this.
"""
