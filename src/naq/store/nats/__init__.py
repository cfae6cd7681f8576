"""The store on NATS JetStream. These are the only modules that import `nats`.

`ConnectionService` owns the one connection of a process. Everything else speaks through it: `KVStoreService` is the `Store`
of the protocol in `naq.store.port`, `EventService` the stream of events. A transaction is one atomic batch of JetStream, each
of its writes conditional on a revision; a commit has one of three results: committed, refused, or unknown when the answer was
lost. Reads go by batched direct get, changes arrive by an ordered consumer that is made again whenever it misses something.

On failure: while the connection is down every call raises `StoreUnavailable` at once, and subscriptions, watches and
consumers continue after it is back. A bucket that was deleted, restored or put back to an older state is recognised as
another one (`incarnation`), and those who keep its records in memory read it from the beginning.

Order: `remedies`, `authentication`, `tls`, `client`, `protocol`, `answers`, `denials`, `server_clock`, `connection`, `batches`,
`direct_get`, `incarnation`, `follow`, `outbox`, `writes`, `bucket_config`, `namespaces`, `reserve`, `bucket`, `event_stream`.
"""
