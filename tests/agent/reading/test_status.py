"""The status of every product, with and without a running agent."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent import status
from fleetroll_agent.app import main
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.values import Attempt, Said, Stage, Step
from fleetroll_agent.session.facts import End
from fleetroll_common.values.codes import Code
from tests.faults.whole_host import WholeHost, stopped, whole_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WholeHost]:
    """Give a host with three products."""
    for name in ("FLEETROLL_DISABLE_SELFUPDATE", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with whole_host(tmp_path / "root") as whole:
        yield whole


def read(host: WholeHost) -> dict[str, Any]:
    return status.read_status(host.state, host.root)


def product(host: WholeHost, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in read(host)["products"] if each["product"] == name)
    return found


def test_every_product_has_what_is_installed_and_what_was_before(host: WholeHost) -> None:
    """The agent's by its launcher's record, the others' by their own."""
    found = {each["product"]: each for each in read(host)["products"]}
    assert list(found) == ["agent", "shop", "tool"]
    assert [each["installed"]["version"] for each in found.values()] == ["1.1.0", "2.1.0", "2.1.0"]
    assert [each["previous"]["version"] for each in found.values()] == ["1.0.0", "2.0.0", "2.0.0"]
    assert found["shop"]["last"]["result"] == "SUCCEEDED"
    assert found["shop"]["record_fault"] is None


def test_what_goes_on_is_told_with_its_step_and_person(host: WholeHost) -> None:
    """And how the one before ended."""
    host.ended("shop", Said.ROLLED_BACK, code=Code.HEALTH_FAILED, message="status 503")
    running = Attempt(0, "3.0.0", stage=Stage.APPLYING, step=Step.MIGRATE, local=4, actor="root (ann)")
    host.change("shop", attempt=running)
    said = product(host, "shop")
    assert (said["attempt"]["id"], said["attempt"]["step"], said["attempt"]["actor"]) == (
        "local:4",
        "migrate",
        "root (ann)",
    )
    assert (said["last"]["code"], said["last"]["message"]) == ("HEALTH_FAILED", "status 503")
    lines = status.sentences(read(host))
    assert "  attempt local:4 to 3.0.0: applying (migrate)" in lines
    assert any("rolled_back: HEALTH_FAILED status 503" in line for line in lines)


def test_a_hold_is_told_while_it_stands(host: WholeHost) -> None:
    """With person, end and reason; one that has ended is none."""
    now = time.time()
    host.change("shop", override=Override(OverrideKind.ROLLBACK, "root (ann)", 2, now + 3600, "it leaks", now))
    said = product(host, "shop")["override"]
    assert (said["kind"], said["actor"], said["reason"]) == ("rollback", "root (ann)", "it leaks")
    assert any("shop held: rollback by root (ann) until " in line for line in status.sentences(read(host)))
    host.change("shop", override=Override(OverrideKind.ROLLBACK, "root", 2, now - 1, "", now - 9))
    assert product(host, "shop")["override"] is None


def test_the_host_itself_is_told(host: WholeHost) -> None:
    """Its service, how it keeps in touch, whether an agent runs, and the marker of a container."""
    found = read(host)
    assert (found["agent_runs"], found["service"]["init"], found["container"]) == (True, "systemd", None)
    assert found["policy"]["host"]["session"] == {"value": "stream", "origin": "default"}
    assert found["policy"]["products"]["tool"]["auto_update"] == {"value": "false", "origin": "default"}
    assert found["next_check_in"] is None
    assert stopped(host, lambda: read(host))["agent_runs"] is False
    host.settings(
        "[download]", '[host]\nsession = "poll"\ncheck_in_seconds = 600\noffline = "local_schedule"\n[download]'
    )
    (host.root / ".dockerenv").write_text("")
    lines = status.sentences(read(host))
    assert "policy    a visit every 600 s; without a server: local_schedule" in lines
    assert "container /.dockerenv" in lines
    assert "service   fleetroll-agent (systemd)" in lines


def test_a_visitor_says_when_it_comes_again(host: WholeHost) -> None:
    """By the end of its last visit, which is no trouble; while it is there nothing is due."""
    host.log("stream_ended", how=End.VISITED.value, wait_seconds=3600.4)
    found = read(host)
    assert found["next_check_in"] == "2026-03-01T11:00:00Z"
    lines = status.sentences(found)
    assert any(", next at 2026-03-01T11:00:00Z;" in line for line in lines)
    assert not [line for line in lines if line.startswith("server")]
    host.log("session_open")
    assert read(host)["next_check_in"] is None
    host.log("stream_ended", how=End.LOST.value, wait_seconds=5)
    assert read(host)["next_check_in"] is None
    host.log("stream_ended", how=End.VISITED.value, wait_seconds="soon")
    assert read(host)["next_check_in"] is None


def test_settings_that_are_wrong_and_records_that_are_damaged_are_told(host: WholeHost) -> None:
    """The rest is shown all the same."""
    (host.state / "products" / "agent.json").write_text("{}")
    host.settings('kind = "slots"', 'kind = "slot"')
    found = read(host)
    assert "line 4" in found["settings_fault"]
    assert "is damaged" in found["products"][0]["record_fault"]
    lines = status.sentences(found)
    assert any(line.startswith("settings  agent.toml, line 4") for line in lines)


def test_the_command_prints_the_same_as_json(host: WholeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """One object, with the keys that were there before."""
    assert main(["status", "--state", str(host.state), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    old = {"agent_id", "fleet_id", "servers", "version", "previous_version", "trial_version", "highest_generation"}
    assert old | {"attempt", "waiting", "last_outcome", "launcher", "connection", "interpreter"} <= found.keys()
    assert [each["product"] for each in found["products"]] == ["agent", "shop", "tool"]


def test_a_file_that_nobody_can_make_sense_of_is_a_sentence(
    host: WholeHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leads to the doctor, and holds no traceback."""

    def broken(_folder: Path) -> dict[str, Any]:
        raise TypeError("unhashable")

    monkeypatch.setattr(status, "read_status", broken)
    assert main(["status", "--state", str(host.state)]) == 1
    err = capsys.readouterr().err
    assert "fleetroll-agent doctor" in err
    assert err.count("\n") == 1
