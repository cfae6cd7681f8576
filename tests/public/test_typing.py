"""The public API under mypy and pyright: right uses have exact types, and each of these mistakes is an error.

The same mistakes made at run time raise one clear `Invalid...` error.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import naq
from naq import ConfigError, InvalidInput, InvalidJob, InvalidName, InvalidSchedule, Naq
from naq.config import FIELDS, SettingsOptions
from naq.jobs.options import JobOptions
from naq.schedules.forms.options import PolicyOptions
from naq.schedules.forms.specification import POLICY_KEYS

ROOT = Path(__file__).parents[2]

HEADER = """
from __future__ import annotations

from typing import Any, assert_type

from naq import Client, Job, JobContext, JobId, Naq, after, chain, cron, every, group


async def send(region: str, copies: int = 1) -> str:
    return region


def count(region: str) -> int:
    return 1


async def report(context: JobContext, region: str) -> list[int]:
    return [1]


def nothing(context: JobContext) -> None:
    return None


def total(numbers: list[int]) -> int:
    return sum(numbers)

"""

RIGHT = """
declared = Naq()


@declared.job
async def bare(region: str) -> int:
    return 1


@declared.job(queue="mail", retries=3, timeout="5m", executor="process", depends_when="ended")
def with_options(region: str) -> int:
    return 1


@declared.schedule(cron("0 9 * * MON-FRI", tz="Europe/Berlin", jitter="30s", overlap="skip"), id="daily", retries=2)
async def daily(region: str = "eu") -> str:
    return region


async def right(app: Naq) -> None:
    assert_type(await bare("eu"), int)
    assert_type(with_options("eu"), int)
    assert_type(await daily(), str)
    assert_type(await app.enqueue(send, "eu"), JobId[str])
    assert_type(await app.enqueue(send, region="eu", copies=3), JobId[str])
    assert_type(await app.enqueue(count, "eu"), JobId[int])
    assert_type(await app.enqueue(report, "eu"), JobId[list[int]])
    assert_type(await app.enqueue(nothing), JobId[None])
    assert_type(await app.enqueue_in("5m", send, "eu"), JobId[str])
    assert_type(await app.enqueue_at("2030-01-01T09:00Z", count, "eu"), JobId[int])
    assert_type(await app.enqueue("reports:send", 1, 2, full=True), JobId[Any])
    assert_type(await app.result(await app.enqueue(report, "eu")), list[int])
    assert_type(app.sync.enqueue(send, "eu"), JobId[str])
    assert_type(app.sync.result(app.sync.enqueue(report, "eu"), timeout=3), list[int])
    sent = await app.enqueue(send, "eu")
    assert_type(after(sent), str)
    counts = [await app.enqueue(count, after(sent)), await app.enqueue(count, region=after(sent))]
    assert_type(after(counts), list[int])
    assert_type(await app.enqueue(total, after(counts)), JobId[int])
    assert_type(await app.enqueue(total, [after(counts[0]), after(JobId[int]("other"))]), JobId[int])
    assert_type(app.sync.enqueue(total, after(app.sync.enqueue(report, after(sent)))), JobId[int])
    assert_type(await app.enqueue_many(chain(Job(func=send, args=["eu"]), group(count, count), total)), list[JobId[Any]])
    assert_type(app.sync.enqueue_many(group(count, count).then(total)), list[JobId[Any]])
    assert_type(await app.pause_schedule("daily", reason="no data"), bool)
    await app.schedule_job(send, {"type": "interval", "interval": 3600, "max_runs": 10}, args=["eu"])
    await app.schedule_job(send, {"type": "cron", "cron": "0 9 * * *", "timezone": "Europe/Berlin"}, args=["eu"])
    await app.schedule_job(Job(func=send, args=["eu"]), every("1h"), id="hourly", if_exists="replace")
    await app.schedule_job(send, ["0 9 * * *", {"interval": "6h"}], args=["eu"])
    await app.update_schedule("daily", max_runs=3, overlap="skip", note="asked for")
    client = Client(app.settings)
    assert_type(await client.list_schedules("paused"), list[dict[str, Any]])
"""

MISTAKES: dict[str, tuple[str, type[InvalidInput], str]] = {
    "a misspelt option of a job": ("app.job(retires=3)(send)", InvalidJob, "did you mean 'retries'"),
    "an option of the wrong type": ("app.job(retries='3')(send)", InvalidJob, "retries"),
    "a wrong executor": ("app.job(executor='proces')(send)", InvalidJob, "auto, process"),
    "a wrong ending of a dependency": ("app.job(depends_when='suceeded')(send)", InvalidJob, "succeeded, failed"),
    "a misspelt field of a Job": ("Job(func=send, retires=3)", InvalidJob, "did you mean 'retries'"),
    "an argument that is missing": ("await app.enqueue(send)", InvalidJob, "missing a required argument: 'region'"),
    "an argument too many": ("await app.enqueue(count, 'eu', 'us')", InvalidJob, "too many positional"),
    "a misspelt argument": ("await app.enqueue(send, regoin='eu')", InvalidJob, "region"),
    "a context that is handed in": ("await app.enqueue(nothing, 'eu')", InvalidJob, "too many positional"),
    "the result of something that is not a job": (
        "await app.enqueue(count, after(3))",
        InvalidInput,
        "an id is letters",
    ),
    "a step that is not a function": ("await app.enqueue_many(chain(send, 3))", InvalidJob, "a function name"),
    "something that is not a function": ("await app.enqueue(3)", InvalidJob, "func"),
    "a misspelt policy": ("cron('0 9 * * *', max_run=3)", InvalidSchedule, "did you mean 'max_runs'"),
    "a wrong overlap policy": ("every('1h', overlap='skp')", InvalidSchedule, "allow_all, skip"),
    "a wrong daylight-saving policy": ("cron('0 9 * * *', dst_gap='jump')", InvalidSchedule, "shift, skip"),
    "wrong keys of a schedule": (
        "await app.schedule_job(send, {'type': 'interval', 'interval': 3600, 'max_run': 3}, args=['eu'])",
        InvalidSchedule,
        "did you mean 'max_runs'",
    ),
    "a wrong type of a schedule": (
        "await app.schedule_job(send, {'type': 'intervall', 'interval': 3600}, args=['eu'])",
        InvalidSchedule,
        "interval",
    ),
    "a wrong if_exists": (
        "await app.schedule_job(send, every('1h'), args=['eu'], if_exists='overwrite')",
        InvalidSchedule,
        "raise, keep, replace",
    ),
    "a misspelt change": ("await app.update_schedule('daily', max_run=3)", InvalidSchedule, "did you mean 'max_runs'"),
    "a wrong status": ("await app.list_schedules('activ')", InvalidSchedule, "active, paused"),
    "a method that the synchronous client does not have": (
        "app.sync.enqeue(send, 'eu')",
        InvalidName,
        "did you mean 'enqueue'",
    ),
    "a misspelt setting": ("Naq(namespce='x')", ConfigError, "did you mean 'namespace'"),
    "a setting of the wrong type": ("Naq(concurrency='ten')", ConfigError, "concurrency"),
    "an option of a schedule that is not one of a job": (
        "app.schedule(every('1h'), max_runs=3)(nothing)",
        InvalidJob,
        "no such option",
    ),
    "an unknown status of jobs": ("await app.list_jobs(status='waiting')", InvalidInput, "queued"),
}


FOR_CHECKERS = {
    "a result of another type than the argument": "await app.enqueue(total, after(await app.enqueue(send, 'eu')))",
    "a result inside of a list": "await app.enqueue(total, [after(await app.enqueue(send, 'eu'))])",
}
"""Mistakes that only checkers can see: what a job returns is not known before it has run."""


def program() -> tuple[str, dict[int, str]]:
    """The module with all uses, and which line has which mistake."""
    lines = (HEADER + RIGHT).splitlines()
    places = {}
    mistakes = {name: code for name, (code, _, _) in MISTAKES.items()} | FOR_CHECKERS
    for number, (name, code) in enumerate(mistakes.items()):
        lines += ["", f"async def mistake_{number}(app: Naq) -> None:", f"    {code}"]
        places[len(lines)] = name
    return "\n".join(lines) + "\n", places


def judged(found: Mapping[int, str], places: Mapping[int, str]) -> None:
    """Every mistake is found, and nothing else."""
    passed = [name for line, name in places.items() if line not in found]
    wrong = {line: text for line, text in found.items() if line not in places}
    assert not passed, f"no error for: {passed}"
    assert not wrong


def test_mypy_finds_the_mistakes_and_nothing_else(tmp_path: Path) -> None:
    text, places = program()
    (tmp_path / "uses.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(tmp_path / "uses.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = re.findall(r"^\S*uses\.py:(\d+): error: (.*)$", done.stdout, re.M)
    assert errors, done.stdout + done.stderr
    judged({int(line): message for line, message in errors}, places)


def test_pyright_finds_the_mistakes_and_nothing_else(tmp_path: Path) -> None:
    text, places = program()
    (tmp_path / "uses.py").write_text(text)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "standard", "extraPaths": [str(ROOT / "src")], "include": ["uses.py"]})
    )
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--project", tmp_path, "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = {each["range"]["start"]["line"] + 1: each["message"] for each in found if each["severity"] == "error"}
    assert errors, done.stdout + done.stderr
    judged(errors, places)


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_at_run_time_is_one_clear_error(name: str, config: dict[str, Any]) -> None:
    code, kind, words = MISTAKES[name]
    namespace: dict[str, Any] = {"__name__": "reports"}
    exec(HEADER + "\nasync def mistake(app):\n" + textwrap.indent(code, "    "), namespace)
    app = Naq(**config)
    try:
        with pytest.raises(kind, match=re.escape(words)):
            await namespace["mistake"](app)
    finally:
        await app.close()
        app.sync.close()


def test_there_are_sixteen_mistakes_and_more() -> None:
    assert len(MISTAKES) >= 16


def test_options_for_checkers_are_those_at_run_time() -> None:
    """A new setting, field of a job or policy belongs into its `TypedDict` as well."""
    assert SettingsOptions.__annotations__.keys() == FIELDS.keys() - {"nats_url"}
    assert JobOptions.__annotations__.keys() == naq.Job.__dataclass_fields__.keys() - {
        "func",
        "job_id",
        "args",
        "kwargs",
    }
    assert PolicyOptions.__annotations__.keys() == set(POLICY_KEYS)
