"""``naq demo``: naq at work on this machine alone, and a check that what it showed was right.

Order: `check`, `jobs`, `view`, `command`.
"""
