"""The scheduler: one of many instances is elected, keeps all schedules in memory, and fires those that are due.

Order: `due_queue`, `lease`, `presence`, `retries`, `elector`, `leader`, `mirror`, `firing`, `loop`, `partition`,
`service`.
"""
