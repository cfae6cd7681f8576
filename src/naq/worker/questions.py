"""Answers to what clients and other workers ask this worker (`naq.jobs.control`)."""

from __future__ import annotations

from naq.jobs.control import Question, Reply
from naq.worker.claimed import Claims, Stage
from naq.worker.flow import JobFlow

__all__ = ["Questions"]

BUSY = (Stage.SET_ASIDE, Stage.RUNNING, Stage.SETTLING)
CANCELLABLE = (Stage.DOUBTFUL, Stage.BUFFERED, Stage.SET_ASIDE, Stage.RUNNING)


class Questions:
    """Says which jobs this worker holds, and cancels them."""

    def __init__(self, worker_id: str, claims: Claims, flow: JobFlow) -> None:
        self._worker_id = worker_id
        self._claims = claims
        self._flow = flow

    def answer(self, question: Question) -> Reply:
        """The answer; a job that is to be cancelled is asked to stop."""
        held = self._claims.all()
        if question.held:
            return Reply(self._worker_id, held=tuple(claimed.queued.job_id for claimed in held))
        if question.who_has:
            busy = {claimed.queued.job_id for claimed in held if claimed.stage in BUSY}
            return Reply(self._worker_id, held=tuple(job_id for job_id in question.who_has if job_id in busy))
        has = False
        for claimed in held:
            if claimed.queued.job_id == question.cancel and claimed.stage in CANCELLABLE:
                has = True
                self._flow.cancel(claimed, question.reason or "cancelled")
        return Reply(self._worker_id, has)
