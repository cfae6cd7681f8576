"""How large the record of a job may be: naq adds to it when the job fails, and that must fit as well."""

from __future__ import annotations

from naq.exceptions import InvalidJob, Problem

__all__ = ["check_size", "largest_record"]

HEADROOM = 32 * 1024
"""Bytes that naq may add to the record of a job: its error, the traceback, which worker ran it."""


def largest_record(max_value: int) -> int:
    """Bytes that the record of a job may have; ``max_value`` is the store's limit."""
    return max_value - min(HEADROOM, max_value // 4)


def check_size(size: int, max_value: int) -> None:
    """Raise `InvalidJob` for a record of ``size`` bytes to which nothing could be added; ``max_value`` is the store's limit.

    `HEADROOM` must stay free, at most a quarter of the limit.
    """
    limit = largest_record(max_value)
    if size > limit:
        reason = f"the job is larger than the server accepts: it may have {limit} bytes (see max_payload)"
        raise InvalidJob(
            Problem("job.args", f"({size} bytes)", reason, advice="pass a key or a path of the data instead")
        )
