"""Listeners to events: logs, metrics, health."""
