"""Schedules: what to run and when, the state machine of one schedule, and the service that changes them.

A schedule is one record in the store: a job, a *trigger* (its instants), a *policy* (window, limits, catch-up, overlap,
exclusions) and where it stands. Its **nominal times** are the trigger's instants inside the window; a nominal time is
*due* at itself plus its jitter. The record remembers the first nominal time that nothing was decided about, so each one
is decided exactly once: it fires, or it is counted and recorded as missed or skipped, with the reason.

States (`transitions`)::

    active     fires when it is due
    paused     does not fire until it is resumed; what was due meanwhile is recorded as paused, or caught up if asked
    completed  ran out: its one time passed, ``max_runs`` was reached, or ``end_at`` passed; an edit can revive it
    cancelled  ended by a user, for good

`planning` decides what happens when a schedule is due: pure functions from a record and an instant to a *plan*, a
value that names the advanced record, the fires, and the nominal times that do not fire. `naq.scheduler` carries plans
out. `forms` reads what users write, and writes records back in the same form. `declared` compares a declared set with
the store. `repository` stores changes by compare-and-set, from any process, no matter who leads.

What happens on failure:

- Two people change a schedule at once, or one changes it while it fires: one write wins, the other is applied again to
  what is there now. After an acknowledged pause or change, nothing planned before can be committed.
- The answer to a change is lost: the record is read again, and its ``change_id`` shows whether the change was made.
- The scheduler was down: what came due meanwhile is decided by the catch-up window, or by the old definition first
  when somebody edits the schedule before it is back.
- A record cannot be read or planned (newer version, unknown zone): it is *quarantined*, shown as such, and left alone.

Order: `contention`, `counters`, `crontab`, `occurrences`, `ownership`, `policy`, `stopping`, `nominal`, `record`, `binding`,
`transitions`, `forms`, `planning`, `run_end`, `declared`, `declared_file`, `preview`, `stored`, `standing`, `entries`,
`overdue`, `repository`, `sync`, `lint`, `service`.
"""
