"""What a person does about an error of the server, by the error's number."""

from __future__ import annotations

__all__ = ["with_remedy"]

_FREE_DISK = "Free space on the server's disk, or raise max_file_store in its configuration"
_REMEDIES = {
    10002: "The account has used up what it may store: raise its limits on the server (max_file, max_streams, "
    "max_consumers), or remove finished jobs, old schedules and streams that are not needed",
    10023: f"{_FREE_DISK}, or the account's limits",
    10047: f"{_FREE_DISK}, or the account's limits",
    10077: "Raise its limit (nats stream edit {stream} --max-bytes=-1), or remove finished schedules and old jobs",
}


def with_remedy(text: str, code: int, stream: str = "STREAM") -> str:
    """An error's text and, where there is one, what to do about it."""
    remedy = _REMEDIES.get(code)
    return text if remedy is None else f"{text}. {remedy.format(stream=stream)}"
