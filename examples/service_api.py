"""The service layer: build a scheduler service with what it needs, and lead a schedule through its life."""

from __future__ import annotations

import asyncio

from naq.job import Job
from naq.services.base import ServiceManager
from naq.services.scheduler import SchedulerService


def send_invoice(customer: str, copies: int) -> str:
    return f"{copies} invoices for {customer}"


async def main() -> None:
    config: dict[str, object] = {}  # NAQ_NATS_URL or nats_url in here names a server; without one naq runs its own
    async with ServiceManager(config) as services:
        scheduler_service = await services.get_service(SchedulerService)
        job = Job(job_id="scheduled_job_1", func=send_invoice, args=["ACME", 2])
        schedule_id = await scheduler_service.schedule_job(
            job=job, schedule={"type": "interval", "interval": 3600, "max_runs": 10}
        )
        if scheduler_service._is_leader:
            triggered = await scheduler_service.trigger_due_jobs()
            print("due now:", triggered)
        print("paused:", await scheduler_service.pause_scheduled_job(schedule_id))
        print("resumed:", await scheduler_service.resume_scheduled_job(schedule_id))
        print("cancelled:", await scheduler_service.cancel_scheduled_job(schedule_id))
        async for data in scheduler_service.monitor_schedules():
            print(data["active_schedules"], data["is_leader"])
            break


if __name__ == "__main__":
    asyncio.run(main())
