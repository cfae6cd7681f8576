#!/usr/bin/env bash
# Schedule::Cron (Perl): "*/10" in the day of the month is 1, 10, 20, 30 instead of 1, 11, 21, 31.
#
# Expected: its documentation copies the rules of crontab(5): an asterisk stands for "first-last", and a
#   step goes through that range. So "*/10" is "1-31/10": 1, 11, 21, 31. cron(8) does it like this.
# Seen: "1-31/10" is 1, 11, 21, 31, but "*/10" is 1, 10, 20, 30: with an asterisk the step counts from zero
#   and the zero becomes a one. In the month, "*/3" is January, March, June, September and December: five
#   months a year instead of January, April, July, October.
# Hurts: lines moved over from a crontab: a quarterly job runs five times a year, without an error.
# Source: crontab(5); the POD of Schedule::Cron, "Steps are also permitted after an asterisk".
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
sub days {
    my ($line, $format, $many) = @_;
    my ($time, @all) = (1798761599);    # 2026-12-31 23:59:59
    for (1 .. $many) { $time = $cron->get_next_execution_time($line, $time); push @all, strftime($format, gmtime $time) }
    return "@all";
}
my ($range, $star) = (days("0 0 1-31/10 * *", "%d", 4), days("0 0 */10 * *", "%d", 4));
my $months = days("0 0 1 */3 *", "%m", 5);
print "1-31/10: $range\n*/10   : $star (expected 01 11 21 31)\n*/3 months: $months (expected 01 04 07 10, then 01)\n";
if ($range eq "01 11 21 31" and $star eq "01 10 20 30" and $months eq "01 03 06 09 12") {
    print "seen: a step after an asterisk counts from zero\n";
} else { print "no longer seen\n"; exit 1 }
PERL
