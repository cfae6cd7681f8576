"""Checking what was fired against what should have been. Pure: records in, a verdict out; time is an argument.

- `naq.observe.verify.written`: the checker for complete write logs, as simulations and fault tests have them: nothing is unknown;
- `naq.observe.verify.judging`: the judge of a live system, where jobs are gone when they are done and traces are kept for a while.
  It is asked about a `naq.observe.verify.case.Case`: a record, read as a `naq.observe.verify.definition.Definition`, and what
  `naq.observe.verify.evidence` is left of its fires. It goes by `naq.observe.verify.reasons` and `naq.observe.verify.enqueues`, and answers with what
  a `naq.observe.verify.verdict.Verdict` is made of.
"""

from __future__ import annotations

from naq.observe.verify.written import EpochWritten, Fault, Finding, Lateness, Report, StoredJob, verify

__all__ = [
    "EpochWritten",
    "Fault",
    "Finding",
    "Lateness",
    "Report",
    "StoredJob",
    "verify",
]
