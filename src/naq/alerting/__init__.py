"""Alerts as rules: what an event means for a subject, and whether a condition holds. Pure; time is an argument."""
