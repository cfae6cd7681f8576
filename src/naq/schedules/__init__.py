"""A schedule: its record and state machine, its policy, the forms users write, and the service that changes it.

Order: `counters`, `crontab`, `occurrences`, `policy`, `stopping`, `nominal`, `record`, `eras`, `forms`, `planning`,
`run_end`, `declared`, `preview`, `repository`, `lint`, `service`.
"""
