"""What users write about schedules, read into records, and records written back in the same form.

Order: `exclusions`, `recurrence`, `triggers`, `policy`, `options`, `specification`, `entry`, `changes`.
"""
