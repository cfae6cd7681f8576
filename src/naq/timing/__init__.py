"""Time as arithmetic: triggers, zones, exclusions, durations, backoff, the due-queue. No clock: time is an argument."""
