"""The forms of triggers, a kind in each place: which keys it has, how it is read, and how it is written back.

Order: `form`, `periods`, `cron`, `calendar`, `recurrence`.
"""
