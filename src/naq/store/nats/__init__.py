"""The store on NATS JetStream: the only modules that import `nats`.

Order: `authentication`, `client`, `protocol`, `answers`, `connection`, `batches`, `direct_get`, `incarnation`,
`follow`, `outbox`, `bucket`, `event_stream`.
"""
