"""Why a schedule or a job did not run, and what to do about it: one plain sentence for each state.

Order: `jobs`, `schedules`, `service`.
"""
