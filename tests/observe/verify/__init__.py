"""The judge of live systems: on lives made by the real scheduler, on tables, and on a real server."""
