"""Running one attempt of a job: in the event loop, in a thread, or in a process.

Order: `frames`, `memory`, `threads`, `child`, `processes`, `attempt`, `middleware`, `calls`, `resources`, `run`.
"""
