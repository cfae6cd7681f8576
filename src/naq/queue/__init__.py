"""The queue: where jobs are from the moment they are enqueued until the end is recorded, and how to find and change them.

A job is one or more records in the bucket, and each has one place (`naq.store.keys`):

- ``deferred.ID.ATTEMPT``: the attempt waits, for its time or for other jobs (``waiting.OTHER.ID`` says for which).
- ``job.QUEUE.ID[.ATTEMPT]``: it is queued. The durable consumer of the queue delivers it to one worker, and delivers it
  again until it is acknowledged.
- a result under ``ID`` in the bucket of results: it runs, or it has ended. Results expire.
- ``dead.ID``: it failed for good and is a dead letter until a person requeues or purges it.

Statuses: ``deferred`` -> ``queued`` -> ``running`` -> ``completed``, ``failed``, ``cancelled`` or ``missed``. A failed attempt
with retries left is followed by the next attempt, which is deferred or queued again.

`JobService` is what other parts of naq call. `Enqueuer` writes new jobs, `Dependencies` holds back those that wait for others,
`Uniqueness` knows which job is the only one of its kind, `Settling` writes the ends of attempts, `Finder` and `Queues` look at
what is there, `Slots` and `Rates` limit what runs.

When something fails: every write is one transaction with conditions, so two processes never do the same step twice. An end
is written in an order that can be repeated at any point (`settle`), and a message is acknowledged only after the end is
durable, so a crash repeats steps but loses none. If the store does not answer, the caller gets a `StoreError` and may try
again; "unknown whether written" is cleared up by reading. A record that cannot be read is left alone, and never hides others.

Order: `removal`, `consumers`, `limits`, `specs`, `together`, `results`, `dependencies`, `uniqueness`, `follow_ups`, `run_ends`,
`settle`, `dead_letters`, `enqueue`, `queues`, `find`, `service`.
"""
