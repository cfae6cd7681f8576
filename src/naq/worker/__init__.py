"""The worker: takes jobs from its queues, runs them, and writes how they ended.

Each job passes through one pipeline. At every step it is one value: a `Delivery` comes from the server; the worker holds it
as a `Claimed` job; when a slot is free and nothing speaks against it, it is `Admitted` and runs; it leaves as `Ended`, with
what must be written and what the server is answered. The files are the steps, in the order that a job takes::

    pulling, intake   ask the server for as many jobs as the worker can take (`demand`)
    reception         a frame becomes a claimed job; a record that cannot be read is buried (`bury`)
    recheck           a job that may have ended before is looked up first
    buffer, flow      it waits for a slot; queues are mixed by weight and held to their rates
    admission         is it too late, cancelled, waiting for other jobs, started too often? is its function known here
                      (`known_functions`), and a function slot free?
    execution         the function is called on the loop, in a thread or in a process, and stopped when its time is up
    finish            ends are written in groups, and only then acknowledged
    trim              acknowledged jobs are removed from the stream

A held job is DOUBTFUL, BUFFERED, SET_ASIDE (it waits for a slot of its function), RUNNING, SETTLING or DONE (`Stage`). Until it
is done, the heartbeat's thread renews its acknowledgement deadline and the worker's presence record.

What happens on failure. A function that raises, times out or kills its process ends its own attempt: a retry or a dead
letter is written. A function that ignores being stopped is given up and reported; its slot is freed. While the store is
away, running jobs run on, ends wait in memory and are written when it is back, and no more jobs are asked for. A worker that
dies acknowledges nothing: after ``ack_wait`` the server hands its jobs to another worker, which looks up whether they ended;
a job that was started ``max_deliveries`` times without an end becomes a dead letter. So an attempt may run twice after a
crash, but its end is recorded once. A worker that stops drains: it asks for nothing, waits ``drain_timeout`` for what runs,
stops the rest, and gives back every job that did not end.

Order: `execution`, `pulling`, `trim`, `claimed`, `report`, `watchdog`, `heartbeat`, `progress`, `starts`, `superseded`,
`function_slots`, `known_functions`, `admission`, `buffer`, `demand`, `ends`, `lives`, `finish`, `flow`, `recheck`, `bury`,
`reception`, `intake`, `limits`, `questions`, `sweep`, `pipeline`, `service`, `signals`.
"""
