"""Time as arithmetic: triggers, zones, exclusions, durations, backoff, the due-queue. No clock: time is an argument.

Order: `backoff`, `cron_fields`, `duration`, `instants`, `rrule_walk`, `zones`, `cron_search`, `cron_words`, `wall`,
`cron`, `periods`, `rrule_words`, `calendar_interval`, `rrule`, `calendars`, `triggers`, `exclusions`, `ics`.
"""
