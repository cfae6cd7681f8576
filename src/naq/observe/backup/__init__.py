"""Backup and restore of a whole namespace, while it is at work.

A backup is one file: all records of the bucket as they were at one moment (`walk`), and of the side streams what belongs to
that time (`making`). What only concerns the processes of that time is left out: leases, workers, slots. A restore
(`restoring`) writes a file into an empty namespace, of the same or another cluster. Until it is complete a marker stands in
the bucket, and a restore that was interrupted begins again when it is asked for again.

On failure: a backup that could not be completed leaves no file, and a file that is damaged or cut off is refused before
anything is written (`file`).

Order: `file`, `walk`, `making`, `restoring`.
"""
