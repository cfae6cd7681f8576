"""Services: lifecycle, and everything that speaks NATS. The only importers of `nats`."""
