"""Time as arithmetic: triggers, zones, exclusions, durations, backoff. No clock: time is an argument.

Order: `backoff`, `cron_fields`, `dst`, `duration`, `instants`, `rrule_parts`, `windows_zones`, `kind`, `zone_data`, `zones`,
`cron_search`, `cron_words`, `rrule_times`, `wall`, `cron`, `day_bits`, `ics_lines`, `periods`, `rrule_days`, `rrule_words`,
`calendar_interval`, `rrule_elapsed`, `rrule_search`, `rrule_clock`, `rrule`, `calendars`, `covering`, `counting`, `allowed`,
`ics_zones`, `rrule_text`, `triggers`, `exclusions`, `ics`.
"""
