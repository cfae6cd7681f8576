"""Checking what was fired against what should have been. Pure: records in, a verdict out; time is an argument.

- `naq.verify.written`: the checker for complete write logs, as simulations and fault tests have them: nothing is unknown;
- `naq.verify.judging`: the judge of a live system, where jobs are gone when they are done and traces are kept for a while.
  It reads `naq.verify.evidence`, goes by `naq.verify.definition` and `naq.verify.reasons`, and answers with a
  `naq.verify.verdict.Verdict`.
"""

from __future__ import annotations

from naq.verify.written import EpochWritten, Fault, Finding, Lateness, Report, StoredJob, verify

__all__ = [
    "EpochWritten",
    "Fault",
    "Finding",
    "Lateness",
    "Report",
    "StoredJob",
    "verify",
]
