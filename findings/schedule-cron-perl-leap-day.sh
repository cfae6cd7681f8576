#!/usr/bin/env bash
# Schedule::Cron (Perl): on 29 February the next 29 February cannot be found.
#
# Expected: "0 0 29 2 *" is due every leap year: after 29 February 2028 comes 29 February 2032.
# Seen: asked in 2026 it answers 2028. Asked on that day, right after the run, it raises "No suitable
#   next execution time found": it looks less than four years ahead. The scheduler asks exactly then, so
#   a leap-day job ends with this error after its first run.
# Hurts: the whole scheduler process, since the time is computed in its main loop.
# Source: crontab(5) knows no such limit, nor does the POD of Schedule::Cron.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -q download libschedule-cron-perl=1.05-1 libtime-parsedate-perl=2015.103-4 > /dev/null 2>&1
for deb in ./*.deb; do dpkg -x "$deb" root; done
TZ=UTC perl -Iroot/usr/share/perl5 - <<'PERL'
use strict; use warnings; use POSIX; use Schedule::Cron;
print "Schedule::Cron $Schedule::Cron::VERSION (Debian 1.05-1)\n";
my $cron = Schedule::Cron->new(sub {});
my $first = $cron->get_next_execution_time("0 0 29 2 *", 1767225600);    # 2026-01-01
print "from 2026-01-01: ", strftime("%F", gmtime $first), "\n";
my $second = eval { $cron->get_next_execution_time("0 0 29 2 *", $first) };
print "from there: ", defined $second ? strftime("%F", gmtime $second) : "error: $@", "(expected 2032-02-29)\n";
if ($first == 1835395200 and not defined $second and $@ =~ /No suitable next execution time/) {
    print "seen: no next time after a leap day\n";
} else { print "no longer seen\n"; exit 1 }
PERL
