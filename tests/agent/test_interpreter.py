"""What threatens the agent's next start is said while it runs; and a launcher that is too old is refused."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from fleetroll_agent import interpreter
from fleetroll_agent.app import main
from fleetroll_agent.interpreter import DAY_SECONDS, FIRST_SECONDS, look, trouble, watch
from fleetroll_agent.jobs.self_test import judge
from fleetroll_agent.launcher.pipe import HOST_REFUSES_EXIT
from fleetroll_agent.self_check import check_launcher, launcher_level
from fleetroll_agent.status import sentences
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from tests.faults.jobs import slot
from tests.faults.launcher_host import ABI

if TYPE_CHECKING:
    from pathlib import Path

OWN, HOSTS = "/usr/bin/python3.11", "/usr/bin/python3"


@pytest.mark.parametrize(
    ("answered", "default_abi", "said"),
    [
        ("cp311", "cp311", ""),
        ("cp311", "cp312", "is a Python of cp312 now, the agent runs on /usr/bin/python3.11 of cp311"),
        ("cp311", "cp400", "is a Python of cp400 now"),
        ("cp311", "cp39", ""),
        ("cp311", "", ""),
        ("cp311", "other39", ""),
        ("", "cp312", "/usr/bin/python3.11 is gone, or does not run"),
        ("cp312", "cp312", "/usr/bin/python3.11 is a Python of cp312 now: the agent can't be started again"),
    ],
)
def test_a_newer_default_and_a_lost_interpreter_are_troubles(answered: str, default_abi: str, said: str) -> None:
    """An older default is a host that gave the agent another Python on purpose."""
    found = trouble(OWN, "cp311", answered, HOSTS, default_abi)
    assert said in found
    assert bool(found) == bool(said)


def test_a_real_host_is_asked(tmp_path: Path) -> None:
    """The recorded interpreter and the host's own are started and asked what they are."""
    newer = tmp_path / "python3"
    newer.write_text("#!/bin/sh\necho cp399\n")
    newer.chmod(0o755)
    mine = slot("1.0.0", "1" * 64)._replace(python=sys.executable, abi=ABI)
    assert look(mine, sys.executable) == ""
    assert "is a Python of cp399 now" in look(mine, str(newer))
    assert "is gone" in look(mine._replace(python=str(tmp_path / "gone")), sys.executable)
    assert look(mine._replace(python=""), sys.executable) == "", "the launcher looks one up at each start"


async def test_the_log_has_one_warning_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look waits until the start is over; a host that is well logs nothing."""
    answers = ["first", "", "third"]
    monkeypatch.setattr(interpreter, "look", lambda _slot: answers.pop(0))
    waits: list[float] = []

    class Over(Exception):  # noqa: N818 (ends the endless)
        pass

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            raise Over

    with structlog.testing.capture_logs() as logs, pytest.raises(Over):
        await watch(lambda: slot("1.0.0", "1" * 64), sleep)
    assert waits == [FIRST_SECONDS, DAY_SECONDS, DAY_SECONDS, DAY_SECONDS]
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("interpreter_trouble", "first"),
        ("interpreter_trouble", "third"),
    ]


def test_the_status_has_a_line_for_it() -> None:
    """Beside the troubles of launcher and server."""
    status = {"agent_id": "a", "fleet_id": "f", "version": "1.0.0", "previous_version": None, "trial_version": None}
    status |= {"attempt": None, "last_outcome": None, "launcher": None, "connection": None}
    quiet = {"path": OWN, "abi": "cp311", "trouble": ""}
    assert not [line for line in sentences({**status, "interpreter": quiet}) if line.startswith("python")]
    loud = {**quiet, "trouble": "the host has another one"}
    assert sentences({**status, "interpreter": loud})[-1] == "python    the host has another one"


@pytest.mark.parametrize(
    ("content", "level"),
    [(None, 1), ("", 1), ("[]", 1), ("{}", 1), ('{"launcher_level": 3}', 3), ('{"launcher_level": "x"}', 1)],
)
def test_the_launchers_level_is_read_from_its_status(tmp_path: Path, content: str | None, level: int) -> None:
    """The first launchers told none: they are of level 1."""
    if content is not None:
        (tmp_path / "launcher.status").write_text(content)
    assert launcher_level(tmp_path) == level


def test_an_agent_refuses_a_launcher_below_the_level_that_it_needs() -> None:
    """The remedy is the upgrade of the launcher."""
    check_launcher(2, oldest=2)
    with pytest.raises(AgentError, match="launcher-upgrade") as caught:
        check_launcher(1, oldest=2)
    assert caught.value.code is Code.VERSION_MISMATCH


def test_a_self_test_that_the_launcher_fails_is_the_hosts_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 78, and the version is not held to be bad for it."""
    before = structlog.get_config()
    (tmp_path / "launcher.status").write_text(json.dumps({"launcher_level": 0}))
    try:
        assert main(["self-test", "--state", str(tmp_path)]) == HOST_REFUSES_EXIT
    finally:
        structlog.configure(**before)
    assert "VERSION_MISMATCH" in capsys.readouterr().err
    verdict = judge(b"", b"too old", HOST_REFUSES_EXIT, "1.0.0")
    assert (verdict.code, verdict.by_itself) == (Code.SELF_TEST_FAILED, False)
    assert judge(b"", b"", 1, "1.0.0").by_itself
