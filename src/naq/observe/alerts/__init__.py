"""Alerts: rules on events and time, and sinks that are notified when a condition becomes true and when it ends.

`rules` turn events into a `Standing` per subject and decide whether the condition holds. The `Board` holds all rules and
standings of one application and does no I/O. One process per application is the watcher (elected with its own lease): it
reads events, feeds the board, stores changes (`memory`), and only then notifies the sinks (`notify`, one `delivery` queue
per sink). Before an alert fires because time passed, the stored records are checked (`confirm`), because events can be lost.

If the watcher dies, its successor continues from the stored state: each alert fires once and is resolved once, and each
sink is notified at least once.

Order: `standing`, `rules`, `alert`, `board`, `sinks`, `confirm`, `declarations`, `delivery`, `memory`, `webhook`,
`notify`, `watcher`, `observing`.
"""
