"""A naq whose scheduler dies in the moment in which it would tell the workers which jobs to stop: what it has decided is
committed, and nobody hears of it. ``python -m tests.faults.untold scheduler`` is its command line."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from unittest import mock

from naq.cli import main
from naq.schedules.stopping import WorkerStopper

if __name__ == "__main__":

    def die(stopper: WorkerStopper, job_ids: Sequence[str], reason: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with mock.patch.object(WorkerStopper, "stop", die):
        main()
