"""APScheduler 3 with its jobs in PostgreSQL."""
