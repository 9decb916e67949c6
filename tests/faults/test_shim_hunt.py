"""The hunt: one host dies at one wanted point after the other, never twice at one, and only when it is permitted."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.plans import Chase, Plan, Source
from tests.faults.shim_hunt import NOBODY, numbers_had, pattern, said

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECONDS = 30
SAVE = """
import json, os, sys
state = sys.argv[1]
number = 0
if os.path.exists(state + "/a"):
    with open(state + "/a") as kept:
        number = json.load(kept)["record"]["number"]
handle = os.open(state + "/a.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
os.write(handle, json.dumps({"record": {"number": number + 1, "same": True}}).encode())
os.close(handle)
os.replace(state + "/a.new", state + "/a")
print("done")
"""
POINTS = ["create:a.new", "write:a.new", "rename:a"]
FIELDS = [["number"]]


class Ground:
    """A host that saves a number at each start, and what is hunted on it."""

    def __init__(
        self, room: Path, wanted: Sequence[Sequence[object]], fields: Sequence[Sequence[str]] = FIELDS
    ) -> None:
        state = room / "state"
        state.mkdir()
        program = room / "main.py"
        program.write_text(SAVE)
        chase = Chase(room / "wanted.json", room / "had")
        chase.wanted.write_text(json.dumps(wanted))
        chase.had.touch()
        self.had = chase.had
        self.plan = Plan(
            room / "shim", [state], [("main.py", "main")], records={"main": Source("a", fields)}, hunt=chase
        )
        self._command = [str(self.plan.write()), str(program), str(state)]

    def start(self) -> int:
        return subprocess.run(self._command, capture_output=True, timeout=SECONDS, check=False).returncode

    def kills(self) -> list[dict[str, Any]]:
        path = self.plan.folder / "kills.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wanted(state: str, do: str = "kill-before", victim: str = "self", nth: int = 1) -> list[list[object]]:
    return [["main", state, point, nth, do, victim] for point in POINTS]


@pytest.mark.parametrize("do", ["kill-before", "kill-after"])
def test_each_start_dies_at_the_next_wanted_point_until_all_were_had(tmp_path: Path, do: str) -> None:
    ground = Ground(tmp_path, wanted("none", do))
    for number, point in enumerate(POINTS, 1):
        assert ground.start() == -signal.SIGKILL
        ground.plan.arm()
        assert [kill["point"] for kill in ground.kills()] == POINTS[:number]
        assert ground.kills()[-1]["do"] == do
        assert bool(ground.kills()[-1]["records"]["a"]) == ((point, do) == ("rename:a", "kill-after"))
    assert ground.start() == 0
    assert numbers_had(ground.had.read_text()) == {0: "kill", 1: "kill", 2: "kill"}


def test_nobody_is_killed_without_a_permit_and_each_kill_takes_it(tmp_path: Path) -> None:
    ground = Ground(tmp_path, wanted("none"))
    assert ground.start() == -signal.SIGKILL
    assert ground.start() == 0
    assert len(ground.kills()) == 1


def test_a_point_that_another_host_had_is_passed(tmp_path: Path) -> None:
    ground = Ground(tmp_path, wanted("none"))
    ground.had.write_text("0 kill\n1 kill\n2 kill\n")
    assert ground.start() == 0
    ground.had.write_text("0 kill\n1 kill\n2 kill\n0 back\n")
    assert ground.start() == 0
    assert ground.kills() == []
    assert numbers_had(ground.had.read_text()) == {1: "kill", 2: "kill"}


def test_the_same_point_in_another_state_is_another_one(tmp_path: Path) -> None:
    ground = Ground(tmp_path, wanted("1"))
    assert ground.start() == 0
    assert ground.start() == -signal.SIGKILL
    assert ground.kills()[0]["state"] == "1"


def test_a_record_that_says_the_same_again_is_the_next_state(tmp_path: Path) -> None:
    ground = Ground(tmp_path, [], fields=[["same"]])
    ground.start()
    assert [line["state"] for line in ground.plan.lines()] == ["none"] * 3
    program = SAVE.replace("import json, os, sys", "import json, os, sys\nfor _ in range(2):\n  pass")
    (tmp_path / "main.py").write_text(program + program.replace("number = 0", "number = 5"))
    ground.start()
    assert [line["state"] for line in ground.plan.lines()][3:] == ["True"] * 3 + ["True #1"] * 3


def test_a_later_arrival_is_waited_for_in_one_process(tmp_path: Path) -> None:
    ground = Ground(tmp_path, wanted("none", nth=2))
    assert ground.start() == 0
    assert numbers_had(ground.had.read_text()) == {}


def test_where_there_is_nobody_to_kill_the_point_is_had_and_named_so(tmp_path: Path) -> None:
    ground = Ground(tmp_path, wanted("none", victim="child"))
    assert ground.start() == 0
    assert set(numbers_had(ground.had.read_text()).values()) == {NOBODY}
    assert ground.kills() == []


def test_patterns_and_states_are_free_of_what_differs_from_run_to_run() -> None:
    assert pattern("write:slots/agent/1.0.0-#/lib/x.py") == pattern("write:slots/agent/1.0.0-#/y.py")
    assert pattern("create:slots/agent/1.0.0-#/COMPLETE.new") == "create:slots/agent/N.N.N-#/COMPLETE.new"
    record = {"attempt": None, "outcomes": [{"said": "FAILED"}, {"said": "SUCCEEDED", "acked_at": 1.5}]}
    groups = [["attempt.stage"], ["outcomes.-1.said", "outcomes.-1.acked_at?"]]
    assert said(record, groups) == "SUCCEEDED True"
    assert said({**record, "attempt": {"stage": "trial"}}, groups) == "trial"
    assert said({"attempt": None, "outcomes": []}, groups) == "none"


def test_kept_byte_code_is_used_for_the_same_source_and_never_for_another(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "main.py").write_text("import part\n")
    plan = Plan(tmp_path / "shim", [tmp_path / "state"], code=tmp_path / "code")
    command = [str(plan.write()), "-B", str(tmp_path / "main.py")]

    def run(text: str) -> str:
        (tmp_path / "part.py").write_text(text)
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout

    assert [run("print(1, __file__)\n"), run("print(2, __file__)\n")] == [
        f"{n} {tmp_path / 'part.py'}\n" for n in (1, 2)
    ]
    kept = {path: path.read_bytes() for path in (tmp_path / "code").iterdir()}
    assert run("print(1, __file__)\n") == f"1 {tmp_path / 'part.py'}\n"
    assert {path: path.read_bytes() for path in (tmp_path / "code").iterdir()} == kept
