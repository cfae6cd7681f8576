"""What users write about schedules, read into records, and records written back in the same form.

Order: `exclusions`, `triggers`, `facade`, `policy`, `specification`, `changes`.
"""
