"""The application face: declare jobs and schedules, run a scheduler or a worker, or act as a client of both.

Order: `client`, `sync`, `application`.
"""
