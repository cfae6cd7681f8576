"""Checking what was fired against what should have been. Pure: records in, a verdict out; time is an argument.

- `naq.observe.verify.written`: the checker for complete write logs, as simulations and fault tests have them: nothing is unknown;
- `judging`: judges a live system, where jobs are removed when they are done and traces are kept for a while. Its input is a
  `Case`: a record, read as a `Definition`, and the `evidence` of its fires. Its result becomes a `Verdict`.

Order: `evidence`, `remedies`, `verdict`, `window`, `written`, `case`, `definition`, `reasons`, `enqueues`, `judging`,
`service`.
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
