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
        print(naq.get_schedule("nightly-sum")["description"])
        print("paused", naq.pause("nightly-sum", reason="example"))
        print("removed", naq.delete("nightly-sum"))


if __name__ == "__main__":
    main()
