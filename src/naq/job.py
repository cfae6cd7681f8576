"""The record of a job under its fixed path: `naq.jobs.job` defines it."""

from __future__ import annotations

from naq.jobs.job import Job, JobStatus

__all__ = ["Job", "JobStatus"]
