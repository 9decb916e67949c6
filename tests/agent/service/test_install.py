"""Installing, removing and showing a service: below another root, and with a stand-in for the init system."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.app import main
from fleetroll_agent.service import host
from fleetroll_agent.service.facts import Init
from fleetroll_agent.service.install import Wish, install, read_service, uninstall
from fleetroll_agent.service.place import Place
from fleetroll_agent.service.record import Installed, read_installed
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError
from tests.faults.launcher_places import program

if TYPE_CHECKING:
    from collections.abc import Sequence

STATE = Path("/var/lib/fleetroll")
UNIT = Path("etc/systemd/system/fleetroll-agent.service")
SOURCE = program("1.0.0")


def below(root: Path, init: Init = Init.SYSTEMD) -> Wish:
    return Wish(state=STATE, name="fleetroll-agent", init=init, root=root, python="/usr/bin/python3")


def put(wish: Wish) -> list[str]:
    return install(wish, refusing, SOURCE)


def refusing(command: Sequence[str]) -> str:
    message = f"{command} was run below another root"
    raise AssertionError(message)


class Asked:
    """Keeps what an init system was asked, and answers."""

    def __init__(self, answer: str = "") -> None:
        self.commands: list[str] = []
        self.answer = answer

    def __call__(self, command: Sequence[str]) -> str:
        self.commands.append(" ".join(command))
        return self.answer


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Wish:
    """A host that systemd runs, as far as this program can tell: its folder of units is a temporary one."""
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(host, "runs", lambda init: init is Init.SYSTEMD)
    monkeypatch.setattr("fleetroll_agent.service.templates.systemd.FOLDER", str(tmp_path / "units"))
    return Wish(state=tmp_path / "state", name="fleetroll-agent", init=Init.SYSTEMD, python="/usr/bin/python3")


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_below_another_root_everything_is_written_and_nothing_is_run(tmp_path: Path) -> None:
    """An image gets unit, starter and launcher; the unit names the paths that the host will have."""
    said = put(below(tmp_path))
    assert f"wrote {tmp_path / UNIT}" in said
    assert "ExecStart=/usr/bin/python3 -I -S -B /var/lib/fleetroll/launcher/fleetroll_launcher.py" in (
        tmp_path / UNIT
    ).read_text("utf-8")
    place = Place(tmp_path / "var/lib/fleetroll")
    assert place.usable() == SOURCE.name
    assert read_installed(tmp_path / "var/lib/fleetroll") == Installed(
        Init.SYSTEMD, "fleetroll-agent", "/usr/bin/python3"
    )


def test_installing_twice_changes_nothing(tmp_path: Path) -> None:
    """The second time every byte stays, and that is said."""
    put(below(tmp_path))
    before = tree(tmp_path)
    said = put(below(tmp_path))
    assert tree(tmp_path) == before
    assert f"{tmp_path / UNIT} is as it should be" in said


def test_a_launcher_that_is_there_stays(tmp_path: Path) -> None:
    """Only the upgrade changes it; the way to that is named."""
    put(below(tmp_path))
    said = install(below(tmp_path), refusing, program("2.0.0"))
    assert Place(tmp_path / "var/lib/fleetroll").usable() == SOURCE.name
    assert any("launcher-upgrade" in sentence for sentence in said)


def test_an_older_file_of_ours_is_replaced(tmp_path: Path) -> None:
    """What the mark claims is ours, whatever an older version wrote below it."""
    put(below(tmp_path))
    unit = tmp_path / UNIT
    wanted = unit.read_text("utf-8")
    unit.write_text(wanted.splitlines()[0] + "\n[Unit]\n", "utf-8")
    put(below(tmp_path))
    assert unit.read_text("utf-8") == wanted


@pytest.mark.parametrize("content", ["", "[Unit]\nDescription=mine\n", "other state"])
def test_a_strangers_file_is_refused_and_nothing_is_written(tmp_path: Path, content: str) -> None:
    """A unit of somebody else, or of another state folder, is left alone until --force says otherwise."""
    unit = tmp_path / UNIT
    unit.parent.mkdir(parents=True)
    if content == "other state":
        put(replace(below(tmp_path), state=Path("/var/lib/fleetroll-2")))
    else:
        unit.write_text(content)
    before = tree(tmp_path)
    with pytest.raises(RequestError) as caught:
        put(below(tmp_path))
    assert caught.value.code is Code.ALREADY_EXISTS
    assert tree(tmp_path) == before
    put(replace(below(tmp_path), force=True))
    assert "Made by fleetroll-agent service install for /var/lib/fleetroll." in unit.read_text("utf-8")


def test_a_link_is_no_file_of_ours(tmp_path: Path) -> None:
    """Nothing is written through a link; with --force the link itself is replaced."""
    unit, other = tmp_path / UNIT, tmp_path / "other"
    unit.parent.mkdir(parents=True)
    other.write_text("precious")
    unit.symlink_to(other)
    with pytest.raises(RequestError):
        put(below(tmp_path))
    put(replace(below(tmp_path), force=True))
    assert other.read_text() == "precious"
    assert not unit.is_symlink()


def test_the_files_have_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    """A script can be run, and the launcher's place is its owner's alone."""
    before = os.umask(0o077)
    try:
        put(below(tmp_path, Init.SYSV))
    finally:
        os.umask(before)
    modes = {
        path: stat.S_IMODE((tmp_path / path).stat().st_mode)
        for path in ("etc/init.d/fleetroll-agent", "var/lib/fleetroll/launcher")
    }
    assert modes == {"etc/init.d/fleetroll-agent": 0o755, "var/lib/fleetroll/launcher": 0o700}


def test_uninstalling_removes_the_files_and_keeps_the_state(tmp_path: Path) -> None:
    """The unit goes; the launcher's place stays for the next installation; a second time there is nothing to do."""
    put(below(tmp_path))
    assert uninstall(below(tmp_path), refusing) == [f"removed {tmp_path / UNIT}"]
    assert not (tmp_path / UNIT).exists()
    assert Place(tmp_path / "var/lib/fleetroll").usable() == SOURCE.name
    assert uninstall(below(tmp_path), refusing) == ["fleetroll-agent is not installed; nothing was changed"]


def test_uninstalling_leaves_a_strangers_file(tmp_path: Path) -> None:
    """What was not made for this state folder is not removed."""
    unit = tmp_path / UNIT
    unit.parent.mkdir(parents=True)
    unit.write_text("[Unit]\n")
    with pytest.raises(RequestError):
        uninstall(below(tmp_path), refusing)
    assert unit.exists()


def test_on_the_running_host_the_init_system_is_asked_in_order(real: Wish) -> None:
    """Reload, enable, start; and at the end disable and stop, then reload."""
    asked = Asked()
    assert install(real, asked, SOURCE)[-1] == "started by systemd"
    unit = "fleetroll-agent.service"
    assert asked.commands == [
        "systemctl daemon-reload",
        f"systemctl enable {unit}",
        f"systemctl --no-block start {unit}",
    ]
    asked.commands.clear()
    uninstall(real, asked)
    assert asked.commands == [f"systemctl disable --now {unit}", "systemctl daemon-reload"]


def test_a_command_that_fails_is_an_error_with_its_words(real: Wish) -> None:
    """What the init system says is shown; the files are there for the next try."""
    with pytest.raises(AgentError, match="no such thing"):
        install(real, Asked("no such thing"), SOURCE)
    assert Place(real.state).usable() == SOURCE.name
    assert install(real, Asked(), SOURCE)[-1] == "started by systemd"


def test_a_service_that_can_not_be_stopped_is_removed_all_the_same(real: Wish) -> None:
    """The failure is a sentence; nothing starts the service any more."""
    install(real, Asked(), SOURCE)
    said = uninstall(real, Asked("it hangs"))
    assert said[0] == "it hangs"
    assert any(sentence.startswith("removed ") for sentence in said)


def test_a_host_that_is_not_enrolled_has_nothing_to_start(real: Wish) -> None:
    """No state folder, no service."""
    real.state.rmdir()
    with pytest.raises(RequestError) as caught:
        install(real, Asked(), SOURCE)
    assert caught.value.code is Code.NOT_FOUND


def test_a_host_without_an_init_system_gets_a_sentence_with_the_way_by_hand(
    real: Wish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is guessed."""
    monkeypatch.setattr(host, "detect", lambda _root: None)
    with pytest.raises(AgentError) as caught:
        install(replace(real, init=None), Asked(), SOURCE)
    assert f"fleetroll-agent run --state {real.state}" in caught.value.remedy


def test_without_a_unit_the_place_is_made_and_the_command_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For another supervisor: everything but the unit."""
    assert main(["service", "install", "--state", str(tmp_path), "--init", "none", "--python", "/usr/bin/python3"]) == 0
    command = f"/usr/bin/python3 -I -S -B {tmp_path}/launcher/fleetroll_launcher.py run --state {tmp_path}"
    assert capsys.readouterr().out.splitlines()[-1] == f"it is started with: {command}"


def test_the_status_names_launcher_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was installed is found without being told again, and a changed file is seen."""
    put(below(tmp_path))
    status = read_service(Wish(state=STATE, name="fleetroll-agent", root=tmp_path))
    assert (status["init"], status["launcher"], status["on_trial"]) == ("systemd", SOURCE.name, False)
    assert status["files"] == {f"/{UNIT}": "same"}
    (tmp_path / UNIT).write_text("[Unit]\n")
    arguments = ["service", "status", "--state", str(STATE), "--root", str(tmp_path)]
    assert main(arguments) == 0
    assert f"/{UNIT}: foreign" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == {f"/{UNIT}": "foreign"}


@pytest.mark.parametrize(
    ("paths", "init"),
    [
        (["usr/lib/systemd/systemd"], Init.SYSTEMD),
        (["lib/systemd/systemd"], Init.SYSTEMD),
        (["sbin/openrc-run"], Init.OPENRC),
        (["etc/inittab", "etc/init.d/README"], Init.SYSV),
        (["etc/init.d/README"], None),
        ([], None),
    ],
)
def test_an_image_is_known_by_its_files(tmp_path: Path, paths: list[str], init: Init | None) -> None:
    """Below another root nothing runs, so programs are looked for."""
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert host.detect(tmp_path, "linux") is init
    assert host.detect(tmp_path, "darwin") is Init.LAUNCHD


def test_a_running_init_system_is_known_by_its_traces(tmp_path: Path) -> None:
    """The files of one in a container are no traces of its running."""
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "etc/init.d").mkdir(parents=True)
    (tmp_path / "proc/1/comm").write_text("sh\n")
    runs = {init: host.runs(init, tmp_path, "linux") for init in Init}
    assert not any(runs.values())
    (tmp_path / "proc/1/comm").write_text("init\n")
    assert [init for init in Init if host.runs(init, tmp_path, "linux")] == [Init.SYSV]
    (tmp_path / "run/openrc").mkdir(parents=True)
    assert [init for init in Init if host.runs(init, tmp_path, "linux")] == [Init.OPENRC]
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert host.runs(Init.SYSTEMD, tmp_path, "linux")
    assert [init for init in (Init.LAUNCHD, Init.WINDOWS) if host.runs(init, tmp_path, "win32")] == [Init.WINDOWS]


def test_the_launchers_python_is_the_first_that_runs(tmp_path: Path) -> None:
    """One that does not run, or is too old, is passed over."""
    for name, text in (("old", "exit 1"), ("good", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    names = [str(tmp_path / name) for name in ("absent", "old", "good")]
    assert host.stable_python(names) == names[-1]
    with pytest.raises(AgentError) as caught:
        host.stable_python(names[:-1])
    assert caught.value.code is Code.NO_INTERPRETER


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["true"], ""),
        (["sh", "-c", "echo  a; echo b >&2; exit 3"], "ended with 3: a b"),
        (["/nowhere"], "can't be run"),
    ],
)
def test_a_command_is_run_and_its_failure_is_one_line(command: list[str], said: str) -> None:
    """Exit code and words, or why it did not start."""
    answer = host.run(command)
    assert said in answer
    assert bool(answer) == bool(said)
    assert "\n" not in answer
