"""A job: what users write, what is stored, the function it calls, how an attempt ends, and its history.

A user passes a `Job`; `parse_job` checks it and makes a `JobSpec`, the stored form of what to run and how. One attempt in the
queue is a `QueuedJob`. A worker finds the function in its `Registry`, which knows only registered and allowed functions, and a
`Target` says how to call it: with converted arguments, and with a `JobContext` if it takes one.

An attempt ends with an outcome: `Returned`, `Raised`, `Stopped` (timeout or cancelled), `Unrunnable` (unknown function, bad
arguments), `Dropped` (missed or cancelled before it started), or `HandedBack` (the worker stops). `decide` turns the outcome into
an `Ending`, a pure decision:

- completed: a result.
- failed with retries left: the next attempt, after its backoff.
- failed for good: a dead letter and a result.
- cancelled or missed: a result.
- handed back: no decision; another worker starts the same attempt again.

Each decision also holds the event and, for the job of a schedule, the history record. `naq.queue.settle` carries decisions
out. When something fails: `decide` has no side effects, so nothing is half done; what users write is checked as a whole
before anything is stored (`InvalidJob` lists every problem); a function that raises anything at all ends only its own
attempt.


Order: `control`, `history`, `job_id`, `values`, `keying`, `job`, `options`, `events`, `size`, `records`, `ends`, `result_bucket`,
`parents`, `context`, `run_log`, `resource`, `signature`, `returns`, `form`, `published`, `flow`, `history_stream`, `outcome`,
`ending`, `target`, `functions`.
"""
