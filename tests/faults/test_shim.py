"""The shim: points of a child are seen, named, and made to go wrong, and the child runs as it would without it."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.plans import Plan, Point

if TYPE_CHECKING:
    from tests.faults.plans import Act

SECONDS = 30

SAVE = """
import os, sys
state = sys.argv[1]
handle = os.open(state + "/a.new", os.O_WRONLY | os.O_CREAT, 0o600)
data = b"12345678"
while data:
    data = data[os.write(handle, data):]
os.fsync(handle)
os.close(handle)
os.replace(state + "/a.new", state + "/a")
folder = os.open(state, os.O_RDONLY)
os.fsync(folder)
print("done")
"""
SAVE_POINTS = ["create:a.new", "write:a.new", "fsync:a.new", "rename:a", "fsync:."]


def _plan(tmp_path: Path, act: Act | None = None, name: str = "shim") -> Plan:
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    return Plan(tmp_path / name, roots=[state], roles=[("--child", "child"), ("main", "main")], act=act)


def _run(plan: Plan, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(plan.write()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=env)


def _program(tmp_path: Path, text: str, name: str = "main.py") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def _save(tmp_path: Path, act: Act | None = None, name: str = "shim") -> tuple[Plan, subprocess.CompletedProcess[str]]:
    plan = _plan(tmp_path, act, name)
    return plan, _run(plan, "-I", "-S", "-B", _program(tmp_path, SAVE), str(tmp_path / "state"))


def _names(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "state").iterdir()}


def test_an_undisturbed_run_gives_its_points_in_their_order(tmp_path: Path) -> None:
    plan, result = _save(tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")
    assert plan.points() == [Point("main", 1, name, 1) for name in SAVE_POINTS]
    assert not plan.happened()
    assert _names(tmp_path) == {"a": b"12345678"}


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("do", ["kill-before", "kill-after"])
def test_a_kill_at_a_point_leaves_what_was_done_before_it(tmp_path: Path, number: int, do: str) -> None:
    plan, result = _save(tmp_path, Point("main", 1, SAVE_POINTS[number], 1).act(do))
    assert result.returncode == -signal.SIGKILL
    assert plan.happened()
    assert len(plan.points()) == number + 1
    done = number + (do == "kill-after")
    expected = {0: {}, 1: {"a.new": b""}, 2: {"a.new": b"12345678"}, 3: {"a.new": b"12345678"}}
    assert _names(tmp_path) == expected.get(done, {"a": b"12345678"})


@pytest.mark.parametrize(("do", "code"), [("enospc", errno.ENOSPC), ("eio", errno.EIO)])
@pytest.mark.parametrize("number", range(5))
def test_an_error_at_a_point_is_the_systems_own_and_the_call_is_not_made(
    tmp_path: Path, number: int, do: str, code: int
) -> None:
    plan, result = _save(tmp_path, Point("main", 1, SAVE_POINTS[number], 1).act(do))
    assert f"OSError: [Errno {code}] {os.strerror(code)}" in result.stderr
    assert plan.happened()
    assert ("a" in _names(tmp_path)) == (number == 4)


def test_a_short_write_says_so_and_a_program_that_goes_on_loses_nothing(tmp_path: Path) -> None:
    plan, result = _save(tmp_path, Point("main", 1, "write:a.new", 1).act("short", sticky=True))
    assert result.returncode == 0
    assert [point.occurrence for point in plan.points() if point.point == "write:a.new"] == [1, 2, 3, 4]
    assert _names(tmp_path) == {"a": b"12345678"}


def test_a_torn_write_leaves_half_of_it(tmp_path: Path) -> None:
    _, result = _save(tmp_path, Point("main", 1, "write:a.new", 1).act("torn"))
    assert result.returncode == -signal.SIGKILL
    assert _names(tmp_path) == {"a.new": b"1234"}


def test_a_kill_after_a_call_comes_also_when_the_system_refused_it(tmp_path: Path) -> None:
    plan = _plan(tmp_path, Point("main", 1, "unlink:none", 1).act("kill-after"))
    program = _program(tmp_path, "import os, sys\nos.unlink(sys.argv[1] + '/none')\n")
    result = _run(plan, program, str(tmp_path / "state"))
    assert (result.returncode, result.stderr) == (-signal.SIGKILL, "")


def test_an_act_at_another_place_changes_nothing_and_is_seen_not_to_have_happened(tmp_path: Path) -> None:
    for number, act in enumerate(
        [
            Point("main", 2, "rename:a", 1).act("kill-before"),
            Point("main", 1, "rename:a", 2).act("kill-before"),
            Point("other", 1, "rename:a", 1).act("kill-before"),
        ]
    ):
        plan, result = _save(tmp_path, act, f"shim{number}")
        assert (result.returncode, plan.happened()) == (0, False)


def test_an_unknown_deed_is_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        Point("main", 1, "rename:a", 1).act("explode")


STREAMS = """
import pathlib, sys
state = pathlib.Path(sys.argv[1])
(state / "one").write_bytes(b"12345678")
with open(state / "two", "w") as file:
    print("hello", file=file)
with open(state / "two", "a", encoding="utf-8") as file:
    file.write("more")
assert (state / "two").read_text() == "hello\\nmore"
(state / "sub").mkdir()
(state / "slot-0123456789abcdef").write_text("x")
(state / "one").rename(state / "sub" / "three")
(state / "two").unlink()
pathlib.Path(sys.argv[2]).write_text("elsewhere")
"""


def test_writes_through_streams_and_paths_are_points_and_hashes_in_names_are_not_kept(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    result = _run(plan, _program(tmp_path, STREAMS), str(tmp_path / "state"), str(tmp_path / "elsewhere"))
    assert (result.returncode, result.stderr) == (0, "")
    assert [point.point for point in plan.points()] == [
        "create:one",
        "write:one",
        "create:two",
        "write:two",
        "create:two",
        "write:two",
        "mkdir:sub",
        "create:slot-#",
        "write:slot-#",
        "rename:sub/three",
        "unlink:two",
    ]


IN_A_FOLDER = """
import os, pathlib, sys
from fleetroll_common.durable import effects
from fleetroll_common.durable.held import Folder
path = pathlib.Path(sys.argv[1])
folder = Folder(os.open(path, os.O_RDONLY), path)
one, two, three = map(folder.entry, ("one", "two", "three"))
with effects.create(one, 0o600):
    pass
effects.link(one, two)
effects.rename(one, three)
effects.symlink(one, path)
effects.unlink(one)
effects.fsync_dir(folder)
os.unlink("two", dir_fd=folder.handle)
"""


def test_durable_effects_in_a_folder_that_is_held_open_are_points(tmp_path: Path) -> None:
    """They are as good as those by paths; other calls in open folders unpack or remove whole trees."""
    plan = _plan(tmp_path)
    done = _run(plan, _program(tmp_path, IN_A_FOLDER), str(tmp_path / "state"))
    assert (done.returncode, done.stderr) == (0, "")
    found = [point.point for point in plan.points()]
    assert found == ["create:one", "link:two", "rename:three", "link:one", "unlink:one", "fsync:."]


def test_a_stream_can_be_torn_too(tmp_path: Path) -> None:
    plan = _plan(tmp_path, Point("main", 1, "write:one", 1).act("torn"))
    _run(plan, _program(tmp_path, STREAMS), str(tmp_path / "state"), str(tmp_path / "elsewhere"))
    assert _names(tmp_path) == {"one": b"1234"}


SEEN = """
import sys
print(sys.argv, sys.path, __name__, sys.flags.isolated, sys.flags.no_site, sys.flags.dont_write_bytecode)
"""


@pytest.mark.parametrize("flags", [["-I", "-S", "-B"], ["-ISB"], ["-B"], ["-W", "error", "-X", "utf8"], []])
@pytest.mark.parametrize("form", ["script", "-c", "-m"])
def test_a_program_sees_itself_as_without_the_shim(tmp_path: Path, flags: list[str], form: str) -> None:
    """Arguments, flags, path, name: the wrapper stands in for an interpreter."""
    path = _program(tmp_path, SEEN, "main_seen.py")
    start = {"script": [path], "-c": ["-c", SEEN], "-m": ["-m", "main_seen"]}[form]
    if form == "-m" and any("I" in flag for flag in flags):
        start = ["-m", "this"]
    env = {"PATH": os.environ["PATH"]}
    command = [*flags, *start, "one", "-two"]
    bare = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=SECONDS, check=True, cwd=tmp_path, env=env
    )
    shimmed = subprocess.run(
        [str(_plan(tmp_path).write()), *command], capture_output=True, text=True, timeout=SECONDS, check=True,
        cwd=tmp_path, env=env,
    )  # fmt: skip
    assert shimmed.stdout == bare.stdout


def test_the_exit_code_and_the_version_are_the_programs_own(tmp_path: Path) -> None:
    assert _run(_plan(tmp_path), "-c", "raise SystemExit(75)").returncode == 75
    assert _run(_plan(tmp_path, name="v"), "--version").stdout == f"Python {sys.version.split()[0]}\n"


FAMILY = """
import os, subprocess, sys
reading, writing = os.pipe()
for _ in range(2):
    code = "import os; os.write({}, b'{{\\"type\\": \\"beat\\"}}\\\\n')".format(writing)
    subprocess.run([sys.executable, "-I", "-c", code, "--child"], check=True, pass_fds=[writing])
print(os.read(reading, 100).decode(), flush=True)
os.execv(sys.executable, [sys.executable, "-c", "print('after')", "--child"])
"""


def test_children_have_points_of_their_own_and_are_told_apart(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    result = _run(plan, _program(tmp_path, FAMILY))
    assert result.stderr == ""
    assert result.stdout.split() == ['{"type":', '"beat"}', '{"type":', '"beat"}', "after"]
    assert [str(point) for point in plan.points()] == [
        "main1/spawn:child#1",
        "child1/write:pipe:beat#1",
        "main1/spawn:child#2",
        "child2/write:pipe:beat#1",
        "main1/exec:child#1",
    ]
    assert plan.processes() == {"child": 3, "main": 1}


def test_the_second_child_alone_can_be_killed(tmp_path: Path) -> None:
    plan = _plan(tmp_path, Point("child", 2, "write:pipe:beat", 1).act("kill-after"))
    result = _run(plan, _program(tmp_path, FAMILY))
    assert "died with <Signals.SIGKILL" in result.stderr
    assert plan.processes() == {"child": 2, "main": 1}


DATABASE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1] + "/fleet.db", isolation_level=None)
connection.execute("CREATE TABLE t (x)")
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO t VALUES (1)")
connection.execute("COMMIT")
connection.execute("BEGIN")
connection.execute("INSERT INTO t VALUES (2)")
connection.commit()
connection.commit()
"""


@pytest.mark.parametrize(
    ("occurrence", "do", "rows"),
    [(1, "kill-before", 0), (1, "kill-after", 1), (2, "kill-before", 1), (2, "kill-after", 2)],
)
def test_commits_of_a_database_are_points(tmp_path: Path, occurrence: int, do: str, rows: int) -> None:
    plan = _plan(tmp_path, Point("main", 1, "commit:fleet.db", occurrence).act(do))
    result = _run(plan, _program(tmp_path, DATABASE), str(tmp_path / "state"))
    assert result.returncode == -signal.SIGKILL
    connection = sqlite3.connect(tmp_path / "state" / "fleet.db")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (rows,)
    connection.close()


def test_an_empty_commit_is_no_point(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    assert _run(plan, _program(tmp_path, DATABASE), str(tmp_path / "state")).returncode == 0
    assert [str(point) for point in plan.points()] == ["main1/commit:fleet.db#1", "main1/commit:fleet.db#2"]


def test_an_interpreter_without_a_plan_says_how_it_is_used() -> None:
    shim = Path(__file__).with_name("shim.py")
    result = subprocess.run([sys.executable, str(shim)], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "usage: shim.py --plan FILE" in result.stderr
