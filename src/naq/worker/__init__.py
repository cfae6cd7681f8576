"""The worker: pulls jobs of its queues, runs them, and writes down how they ended.

Order: `execution`, `pulling`, `trim`, `claimed`, `buffer`, `heartbeat`, `progress`, `recheck`, `starts`, `superseded`,
`admission`, `finish`, `intake`, `flow`, `service`.
"""
