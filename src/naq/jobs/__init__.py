"""A job: its record, the forms users write, the functions it calls, how an attempt ends, and its history.

Order: `control`, `history`, `job`, `form`, `history_stream`, `records`, `context`, `outcome`, `ending`, `target`,
`functions`.
"""
