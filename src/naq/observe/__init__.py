"""Listeners to what happens: alerts, the verifier, the diagnosis of a schedule or job, and the doctor."""
