"""The same from synchronous code: one portal over the async API."""

from __future__ import annotations

from naq import Naq, cron

app = Naq(name="sync-example")


@app.job
def add(left: int, right: int) -> int:
    return left + right


def main() -> None:
    with app.sync as naq:
        print("job", naq.enqueue(add, 1, 2))
        naq.schedule_job(add, cron("0 3 * * *", tz="Asia/Tokyo"), args=[3, 4], id="nightly-sum", if_exists="replace")
        schedule = naq.get_schedule("nightly-sum")
        print("nothing" if schedule is None else schedule["description"])
        print("paused", naq.pause_schedule("nightly-sum", reason="example"))
        print("removed", naq.delete_schedule("nightly-sum"))


if __name__ == "__main__":
    main()
