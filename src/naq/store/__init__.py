"""The store: keys and records, the protocol of a transactional key-value store, and its implementation on NATS.

Everything that naq must not lose is a record under a key, written by compare-and-set in transactions (`port.Store`). A
transaction is committed, refused because a condition did not hold, or unknown because its answer was lost; whoever gets
"unknown" reads the revisions to learn it. `ordering` says in which order the writes of a transaction become durable, so
that a power failure in its middle loses and repeats nothing. `codec` turns records into bytes and back, and refuses those
of a newer version. `outage` reports a store that takes nothing once, and how long to wait before the next try.

Order: `codec`, `embedded`, `keys`, `port`, `ordering`, `records`, `nats`, `outage`.
"""
