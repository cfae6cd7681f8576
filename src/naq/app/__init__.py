"""The application: declare jobs and schedules in a module, run a scheduler and workers for it, or act as a client.

`Naq` is what users write down: its decorators collect functions with their options (`declared`), and `run` starts the
services. Everything that it can do to a running system, it does as a `Client`, which has two groups of acts
(`schedule_acts`, `job_acts`) and asks the services for them. `SyncClient` has the same acts for synchronous code.

A client is connected or not. The first act connects it (`connection`); `close` disconnects it. When the event loop that it
was connected in is closed, or the process is forked, the next act connects it again. The synchronous client owns a
background thread with an event loop (`portal`), made at its first act and in each forked process anew.

What cannot be used is refused before anything is written, with an `InvalidInput` that names the field: options and
arguments when a function is declared or enqueued, everything else by the service that is asked.

Order: `calls`, `connection`, `declared`, `schedule_acts`, `job_acts`, `client`, `portal`, `sync`, `queues`,
`origin`, `application`.
"""
