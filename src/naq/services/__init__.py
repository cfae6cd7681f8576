"""Services: lifecycle, and everything that speaks NATS. The only importers of `nats`.

Order: `base`, `connection`, `events`, `jobs`, `kv_stores`, `scheduler`, `streams`.
"""
