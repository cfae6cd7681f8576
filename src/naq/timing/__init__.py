"""Time as arithmetic: triggers, zones, durations, backoff and the due-queue. No I/O, and no clock: time is an argument."""
