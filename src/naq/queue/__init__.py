"""The queue: jobs are enqueued, found, limited and cancelled; results are kept; failed jobs become dead letters.

Order: `consumers`, `limits`, `results`, `dead_letters`, `dependencies`, `settle`, `enqueue`, `queues`, `find`,
`service`.
"""
