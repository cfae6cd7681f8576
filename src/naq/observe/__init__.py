"""What reads and judges a running system: alerts, the verifier, the diagnosis of a schedule or job, and the doctor;
and the backup of it all.

Order: `alerts`, `diagnosis`, `health`, `verify`, `backup`, `doctor`.
"""
