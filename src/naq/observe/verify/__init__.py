"""Verifying a live system: what should have fired, what did, and what is lost. `service` reads, everything else is pure.

For each schedule the *evidence* of its fires is gathered (events, queued jobs, results, history) and compared with its
*definition*: the nominal times that its record promises. The result is a `Verdict` of `Matter`s. Traces are kept for a
while only, so a missing trace alone proves nothing; the counters in the record prove a loss. What can be neither
proved nor disproved is *unproven*.

Order: `evidence`, `remedies`, `verdict`, `window`, `case`, `definition`, `reasons`, `edits`, `enqueues`, `judging`, `service`.
"""
