"""What users write about schedules, read into records, and records written back in the same form.

Order: `examples`, `exclusions`, `kinds`, `triggers`, `policy`, `options`, `specification`, `entry`, `changes`.
"""
