"""alerts.

Order: `standing`, `rules`, `alert`, `board`, `sinks`, `confirm`, `declarations`, `delivery`, `memory`, `webhook`,
`notify`, `watcher`, `observing`.
"""
