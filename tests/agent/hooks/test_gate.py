"""Commands behind their gate: who they are, when they run, and what they find."""

from __future__ import annotations

import os
import pwd
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fleetroll_agent.hooks import held
from fleetroll_agent.hooks.gate import MAX_ENVIRONMENT_BYTES, spawn
from fleetroll_agent.hooks.processes import read_process
from fleetroll_agent.hooks.run import run_hook
from fleetroll_agent.hooks.scope import Scope, ScopeFacts
from fleetroll_agent.hooks.users import User, find_user
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_common.values.errors import AgentError
from tests.faults.hooks import ENV, QUICK, ROOT, alive, program, quiet, run, run_script, until

PARENT = """
import asyncio, os, sys, time
from pathlib import Path
from fleetroll_agent.hooks.gate import spawn
async def main():
    gated = await spawn(("/bin/sh", "-c", "echo ran > " + sys.argv[1]), {}, Path("/"))
    print(gated.child.pid, flush=True)
    time.sleep(600)
asyncio.run(main())
"""


async def test_a_command_whose_agent_is_killed_before_the_word_never_runs(tmp_path: Path) -> None:
    """Killed between start and word, the agent leaves a process that ends without running the command."""
    mark = tmp_path / "mark"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(mark)], stdout=subprocess.PIPE)
    with parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    await until(lambda: not alive(pid))
    assert not mark.exists()


async def test_an_abandoned_command_never_runs(tmp_path: Path) -> None:
    """A caller that can't write the command down ends it, and it did nothing."""
    mark = tmp_path / "mark"
    gated = await spawn(("/bin/touch", str(mark)), ENV, ROOT)
    await gated.abandon()
    assert not alive(gated.child.pid)
    assert not mark.exists()


async def test_half_a_word_runs_nothing(tmp_path: Path) -> None:
    """A word that was cut off in its midst is none."""
    mark = tmp_path / "mark"
    gated = await spawn(("/bin/touch", str(mark)), ENV, ROOT)
    gated.process.stdin.write(b"00000010A=1")
    gated.process.stdin.close()
    result = await run_hook(gated, 10, quiet, (), QUICK)
    assert (result.exit_code, mark.exists()) == (1, False)


@pytest.mark.parametrize("given", [b"", b"0000", b"00000004", b"00000004A=1"])
def test_what_is_no_whole_word_is_none(given: bytes) -> None:
    """The input ended before the whole environment was there."""
    read, write = os.pipe()
    os.write(write, given)
    os.close(write)
    assert held.read_word(read) is None
    os.close(read)


async def test_the_child_is_named_before_and_after_the_word() -> None:
    """Process id and start stay the same when the waiting process becomes the command."""
    gated = await spawn(("sleep", "60"), ENV, ROOT)
    seen = read_process(gated.child.pid)
    assert (seen.start_ticks, seen.session, seen.group) == (gated.child.start_ticks, seen.pid, seen.pid)
    assert gated.child.boot_id == read_boot_id()
    gated.open()
    await until(lambda: Path(f"/proc/{gated.child.pid}/cmdline").read_bytes() == b"sleep\x0060\x00")
    assert read_process(gated.child.pid) == seen
    await gated.abandon()


async def test_a_command_has_exactly_the_environment_that_it_was_given() -> None:
    """Nothing of the agent's, of a shell's or of what stands in between comes along; any letters pass."""
    env = {"ONE": "1", "EMPTY": "", "TEXT": "two\nlines, é 漢 = x", "B": "\udcff"}
    code = "import os, sys; sys.stdout.buffer.write(repr(sorted(os.environb.items())).encode())"
    result = await run((sys.executable, "-I", "-X", "utf8", "-c", code), env)
    want = {**{name.encode(): value.encode("utf-8", "surrogateescape") for name, value in env.items()}}
    told = {name: value for name, value in eval(result.tail) if name != b"LC_CTYPE"}  # noqa: S307 (our own repr)
    assert told == want


async def test_a_command_finds_no_input_its_folder_and_nothing_open(tmp_path: Path) -> None:
    """Reading ends at once; of the pipes there are only its two outputs, here one of them and grep's."""
    result = await run_script("cat; pwd; ls -l /proc/self/fd | grep -c pipe", cwd=tmp_path)
    assert result.tail.split() == [str(tmp_path), "2"]


OF_THE_C_LIBRARY = 0b11 << 31
"""Signals 32 and 33: it keeps them to itself, and lets no program set them."""


async def test_a_command_ignores_and_blocks_no_signal() -> None:
    """Whatever the interpreter or whoever started the agent ignores, and the agent blocks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        result = await run(("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"))
    finally:
        signal.signal(signal.SIGHUP, hangup)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    blocked, ignored = (int(word, 16) & ~OF_THE_C_LIBRARY for word in result.tail.split()[1::2])
    assert (blocked, ignored) == (0, 0)


async def test_a_command_is_not_bound_by_the_limit_on_the_agents_own_memory() -> None:
    """A migration may need more, and a service that it starts lives on with what it inherits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (64 << 30, hard))
    try:
        result = await run(("grep", "Max data size", "/proc/self/limits"))
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    assert result.tail.split()[3:5] == ["unlimited", "unlimited"]


def test_a_limit_that_the_host_set_itself_binds_commands_too() -> None:
    """It is a hard one."""
    code = "import resource; from fleetroll_agent.hooks.held import lift_limit; lift_limit(); "
    code += "print(*resource.getrlimit(resource.RLIMIT_DATA))"
    command = ("/bin/sh", "-c", 'ulimit -d 4194304; exec "$@"', "sh", sys.executable, "-c", code)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(4 << 30)] * 2


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("no-such-program",), 127, "can't start no-such-program: No such file or directory"),
        (("/etc/passwd",), 126, "can't start /etc/passwd: Permission denied"),
        (("/",), 126, "can't start /: Permission denied"),
    ],
)
async def test_a_program_that_can_not_be_started_is_told_as_shells_do(
    argv: tuple[str, ...], code: int, words: str
) -> None:
    """The exit code and the output say which program, and why."""
    result = await run(argv)
    assert (result.exit_code, result.tail, result.ok) == (code, words, False)


async def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    """The command does not run anywhere else instead."""
    result = await run(("true",), cwd=tmp_path / "gone")
    assert (result.exit_code, result.tail) == (127, f"can't run in {tmp_path}/gone: No such file or directory")


async def test_a_command_runs_as_its_user_with_all_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root gives itself up before the first line; who is not root can't become another, and says so."""
    if os.geteuid() != 0:
        with pytest.raises(AgentError, match="does not run as root"):
            await spawn(("id",), ENV, ROOT, "root")
        return
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 4, 27])
    uid, gid = pwd.getpwnam("nobody")[2:4]
    gated = await spawn(("grep", "-E", "^(Uid|Gid|Groups|CapEff)", "/proc/self/status"), ENV, ROOT, "nobody")
    lines = (await run_hook(gated, 10, quiet)).tail.splitlines()
    told = [set(line.split()[1:]) for line in lines]
    assert told == [{str(uid)}, {str(gid)}, {str(gid), "4", "27"}, {"0" * 16}]


def test_all_groups_of_a_user_are_taken_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the one of its entry; without root there is nobody else to become."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 4, 27])
    uid, gid = pwd.getpwnam("nobody")[2:4]
    assert find_user("nobody") == User(uid, gid, (gid, 4, 27))


async def test_the_agents_own_user_needs_no_right() -> None:
    """Naming who we are already changes nothing."""
    name = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    gated = await spawn(("id", "-u"), ENV, ROOT, name)
    assert (await run_hook(gated, 10, quiet)).last_line == str(os.geteuid())


async def test_a_user_that_the_host_does_not_know_is_refused_by_name() -> None:
    """Nothing is started as somebody else instead."""
    with pytest.raises(AgentError, match="no user 'no-such-user'") as caught:
        await spawn(("true",), ENV, ROOT, "no-such-user")
    assert caught.value.code == "STEP_FAILED"


@pytest.mark.parametrize("env", [{"A": "\0"}, {"": "x"}, {"A=B": "x"}, {"A": "x" * MAX_ENVIRONMENT_BYTES}])
async def test_an_environment_that_no_process_can_have_is_refused(env: dict[str, str]) -> None:
    """It would mean something else to the command than to us."""
    with pytest.raises(AgentError, match="environment: "):
        await spawn(("true",), env, ROOT)


@pytest.mark.parametrize("argv", [(), ("true", "a\0b")])
async def test_a_command_line_that_no_process_can_have_is_refused(argv: tuple[str, ...]) -> None:
    """An empty one, or one with a NUL."""
    with pytest.raises(AgentError, match="can't be run"):
        await spawn(argv, ENV, ROOT)


async def test_a_host_that_gives_no_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an interpreter, memory or descriptors there is an error and nothing to clean up."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with pytest.raises(AgentError, match="no process could be started"):
        await spawn(("true",), ENV, ROOT)


async def test_a_process_that_dies_while_it_waits_is_a_command_that_did_not_run(tmp_path: Path) -> None:
    """The word goes nowhere, and the result says what ended it."""
    gated = await spawn(("/bin/touch", str(tmp_path / "mark")), ENV, ROOT)
    os.kill(gated.child.pid, signal.SIGKILL)
    await until(lambda: not alive(gated.child.pid))
    result = await run_hook(gated, 10, quiet, (), QUICK)
    assert (result.exit_code, result.signal, result.words) == (None, signal.SIGKILL, "it was ended by SIGKILL")
    assert not (tmp_path / "mark").exists()


async def test_in_a_scope_the_command_is_the_same_process_with_the_same_environment(tmp_path: Path) -> None:
    """A stand-in for systemd-run takes its options, adds a variable, and becomes what follows."""
    text = f'echo "$@" > {tmp_path}/asked\nwhile [ "$1" != "--" ]; do shift; done; shift\nINVOCATION_ID=1 exec "$@"'
    facts = ScopeFacts(program(tmp_path / "systemd-run", text))
    gated = await spawn(("/bin/sh", "-c", "echo $$; env"), ENV, ROOT, scope=Scope("fleetroll-x", facts))
    result = await run_hook(gated, 10, quiet, (), QUICK)
    pid, *variables = result.tail.splitlines()
    assert int(pid) == gated.child.pid
    assert {line.partition("=")[0] for line in variables} == {"PATH", "PWD"}  # PWD is the shell's own
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:5] == ["--scope", "--quiet", "--collect", "--unit=fleetroll-x", "--"]


async def test_a_scope_that_is_refused_fails_the_command_with_its_words(tmp_path: Path) -> None:
    """The command does not run outside of it instead."""
    facts = ScopeFacts(program(tmp_path / "systemd-run", "echo 'no bus'; exit 1"))
    gated = await spawn(("/bin/touch", str(tmp_path / "mark")), ENV, ROOT, scope=Scope("x", facts))
    result = await run_hook(gated, 10, quiet, (), QUICK)
    assert (result.ok, result.last_line, (tmp_path / "mark").exists()) == (False, "no bus", False)
