"""The scheduler: of many instances one is elected; it keeps all schedules in memory and fires those that are due.

Every instance loads all schedules and deferred jobs into a *mirror* and keeps it current by a watch. All stand for
election; the winner, the leader, holds a *lease* that it renews by a heartbeat. While it trusts its lease it sleeps
until the next due instant, plans what is due, and commits record and jobs in one transaction. The others stand by,
loaded, so that one of them continues within milliseconds when the leader stops or dies.

An instance is in one of three states::

    standing by  --(lease free, resigned, expired, or its holder gone)-->  leading
    leading  --(renewal failed until the trust ran out, or another took the lease)-->  standing by
    leading  --(asked to hand over, or stopped)-->  resigned: the lease is free, and may name a successor

Safety does not rest on the election. Each transaction is fenced by the leader's *epoch*, a key that every new leader
rewrites, and is conditional on the revision of each record; the ids of jobs are derived from schedule and nominal
time. So two instances that both believe they lead cannot both commit, and nothing is enqueued twice.

What happens on failure:

- The leader dies: NATS reports within milliseconds that its presence subject has no listener; a standby takes over.
- The leader hangs or is cut off: it stops by itself before its lease can expire; the lease decides.
- A transaction is refused: the keys are read again; what moved is planned again, what did not is halved until the
  bad record is alone. A record that cannot be planned is quarantined, reported and tried again later; the others continue.
- No answer: the keys are read again, and they show whether it was committed. Nothing is guessed.
- The store rejects everything or is away: all tries wait, with backoff, and it is reported once.
- The leader's clock is wrong: an instance whose clock is far from the server's gives the lease up and fires nothing.
- A job vanishes (purged by an administrator, lost at a power failure): the leader closes its run (`open_runs`).
- The store is replaced (bucket deleted, restored from a backup): everything is read again, and leadership is won again.

Order: `due_queue`, `trials`, `lease`, `drift`, `presence`, `retries`, `elector`, `leader`, `mirror`, `listeners`, `open_runs`,
`intents`, `reconcile`, `firing`, `loop`, `partition`, `service`.
"""
