"""What models.yaml says should be done about alerts, done once, within limits and on record.

`plan` knows what should be done about a notification, `history` what was done, `verdict` whether
it may be done now, `audit` writes it down before and after, `ledger` keeps both together, `actions`
do it, and `engine` brings all of it together. `reset` and `command` are for people who mended what
kept failing.
"""
