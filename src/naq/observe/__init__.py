"""What reads and judges a running system: alerts, the verifier, the diagnosis of a schedule or job, and the doctor.

Order: `alerts`, `diagnosis`, `health`, `verify`, `doctor`.
"""
