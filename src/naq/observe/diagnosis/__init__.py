"""Why a schedule or a job did not run, and what to do: one sentence for each cause.

`jobs` and `schedules` make the sentences and are pure; `service` reads what they need from the store.

Order: `listing`, `jobs`, `schedules`, `service`.
"""
