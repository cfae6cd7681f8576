"""What can be wrong with a running naq: the table of conditions, and the checks that find them.

`conditions` is the one table: what each condition is, how bad it is, whether the system is ready with it, and what to do. A
check yields a `Finding` for what it looked at, and names the condition when something is wrong. `naq.observe.doctor` runs
the checks for `naq doctor` and `naq health`; docs/reference/health.md is made from the table.

Order: `conditions`, `server`, `bucket`, `schedules`, `queues`, `records`, `zones`.
"""
