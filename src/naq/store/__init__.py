"""The store: keys and records, the protocol of a transactional key-value store, and its implementation on NATS.

Everything that naq must not lose is a record under a key, written by compare-and-set in transactions (`port.Store`). A
transaction is committed, refused because a condition did not hold, or unknown because its answer was lost; in the last case
the caller reads the revisions to find out. `ordering` says in which order the writes of a transaction become durable, so
that a power failure in the middle loses and repeats nothing. `codec` turns records into bytes and back, and refuses those
of a newer version. `permissions` is the table of what each role may do on the server.
`outage` reports an unavailable store once, and gives the delay before the next try.

Order: `codec`, `embedded`, `ids`, `keys`, `permissions`, `port`, `ordering`, `records`, `nats`, `outage`.
"""
