"""Listeners to events, on top of the services: the watcher of an application's alerts, and the sinks that are told."""
