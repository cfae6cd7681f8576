"""The store: keys and records, the protocol of a transactional key-value store, and its implementation on NATS.

Order: `codec`, `embedded`, `keys`, `port`, `records`, `nats`, `outage`.
"""
