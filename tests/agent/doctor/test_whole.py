"""A host on which nothing is wrong, and the doctor's own ways: exit codes, one line each, no end by what it finds."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.app import main
from fleetroll_agent.doctor import host as look_at
from fleetroll_agent.doctor.patience import all_within, within
from fleetroll_agent.doctor.registry import CHECKS, Check
from fleetroll_agent.doctor.run import diagnose, sentences
from fleetroll_agent.doctor.values import WARNINGS, Finding, Severity, Sign
from tests.faults.archives import snapshot
from tests.faults.whole_host import NOW, WholeHost

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operating" / "troubleshooting.md"


def test_nothing_is_found_on_a_host_on_which_nothing_is_wrong(host: WholeHost) -> None:
    """Every check runs, and none of them speaks."""
    found = host.look()
    assert found.findings == ()
    assert sentences(found) == [f"nothing is wrong: {len(CHECKS)} checks"]


def test_looking_changes_nothing(host: WholeHost) -> None:
    """Neither content nor a name of any file below the host's root, whatever is wrong with it."""
    (host.state / "identity" / "key").write_bytes(b"torn")
    (host.state / "journal" / "000000000001.log").write_bytes(b"torn\nand more\n")
    before = snapshot(host.root)
    assert host.signs()
    assert snapshot(host.root) == before


def test_an_answered_enrolment_is_not_finished_by_looking(host: WholeHost) -> None:
    """Only the agent spreads it over the files; whoever looks reads it where it stands."""
    folder = host.state / "identity"
    agent = folder / "agent.json"
    from fleetroll_agent.identity import records  # noqa: PLC0415 (for this case alone)
    from fleetroll_agent.identity.store import IdentityStore  # noqa: PLC0415 (the same)
    from fleetroll_common.durable import dump_record  # noqa: PLC0415 (the same)
    from fleetroll_common.values.ids import SystemIds  # noqa: PLC0415 (the same)

    store = IdentityStore(folder, SystemIds())
    answer = store.load().enrolment
    asked = records.candidate_record(store.candidate())
    answered = {**asked, "answer": records.enrolment_record(answer)}
    (folder / "candidate.json").write_bytes(dump_record(answered))
    agent.unlink()
    before = snapshot(host.root)
    assert host.signs() == []
    assert store.peek().enrolment == answer
    assert snapshot(host.root) == before
    assert store.load().enrolment == answer
    assert agent.exists()


def run(host: WholeHost, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    code = main(["doctor", "--state", str(host.state), *more])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out


def test_the_command_ends_with_1_where_something_is_wrong_one_line_for_each(
    host: WholeHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code comes first, so that people and scripts find it; nothing in it is obeyed by a terminal."""
    monkeypatch.setattr("fleetroll_agent.doctor.run.CHECKS", ())
    (host.state / "agent.toml").write_text('what = "\x1b[2J"\n[products]\nx = 1\n')
    code, out = run(host, capsys)
    lines = out.splitlines()
    assert code == 1
    assert any(line.startswith("SETTINGS_WRONG  agent.toml: agent.toml, line 1: ") for line in lines)
    assert all(re.match(r"[A-Z_]+  ", line) and line.isprintable() and "; to do: " in line for line in lines)
    code, out = run(host, capsys, "--json")
    found = json.loads(out)
    assert code == 1
    assert [line.split()[0] for line in lines] == [finding["code"] for finding in found["findings"]]
    assert found["findings"][0].keys() == {"code", "severity", "subject", "message", "remedy"}


def test_the_command_ends_with_0_where_nothing_is_wrong(
    host: WholeHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the host's real clock and root would add is left to the other tests."""
    from fleetroll_agent.doctor import run as runner  # noqa: PLC0415 (patched by its name)

    real = runner.diagnose
    monkeypatch.setattr(runner, "diagnose", lambda folder: real(folder, NOW, host.root))
    assert run(host, capsys) == (0, f"nothing is wrong: {len(CHECKS)} checks\n")


def test_a_check_that_fails_itself_is_a_finding_and_the_others_go_on(host: WholeHost) -> None:
    """A check that never comes back is one too."""

    def fails(_host: Any) -> Iterator[Finding]:
        raise RuntimeError("nobody thought of this")

    def hangs(_host: Any) -> Iterator[Finding]:
        read, write = os.pipe()
        ends.extend((read, write))
        os.read(read, 1)
        yield Finding(Sign.NO_RELEASE, "", "", "")

    def speaks(_host: Any) -> Iterator[Finding]:
        yield Finding(Sign.NO_RELEASE, "agent", "said", "done")

    ends: list[int] = []
    found = diagnose(host.state, NOW, host.root, [Check(fails), Check(hangs, 0.05), Check(speaks)])
    os.write(ends[1], b"x")
    assert [finding.sign for finding in found.findings] == [Sign.CHECK_FAILED, Sign.CHECK_FAILED, Sign.NO_RELEASE]
    assert "nobody thought of this" in found.findings[0].message
    assert "no answer within 0.05 s" in found.findings[1].message


def test_without_a_state_folder_that_is_all_that_is_said(tmp_path: Path) -> None:
    """Nothing else can be known."""
    found = diagnose(tmp_path / "gone", NOW)
    assert [finding.sign for finding in found.findings] == [Sign.STATE_MISSING]
    assert "enroll" in found.findings[0].remedy


def test_who_may_not_read_is_told_so_and_nothing_wrong_is_said(
    host: WholeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file would look lost."""
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    found = host.look()
    assert [finding.sign for finding in found.findings] == [Sign.NOT_ROOT]
    assert "sudo" in found.findings[0].remedy


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(host: WholeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens it would wait for a writer."""
    monkeypatch.setattr(look_at, "READ_SECONDS", 0.2)
    for name in ("agent.toml", "agent.log", "launcher.status", "products/shop.json", "identity/receipt"):
        (host.state / name).unlink()
        os.mkfifo(host.state / name)
    signs = host.signs()
    assert {"SETTINGS_WRONG", "IDENTITY_DAMAGED"} <= set(signs)


def test_what_a_thread_raises_is_raised_where_it_is_waited_for() -> None:
    """As if it had been called there."""
    assert within(5, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(5, lambda: json.loads("{}")["x"])
    assert all_within(5, [lambda: "a", lambda: "b"], "late") == ["a", "b"]


def test_every_sign_has_one_row_in_the_handbook_with_its_severity() -> None:
    """A code that a person on call meets is explained there, and none that is not."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (error|warning) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    severities = {sign.value: Severity.WARNING if sign in WARNINGS else Severity.ERROR for sign in Sign}
    assert len(rows) == len(dict(rows))
    assert dict(rows) == {name: severity.value for name, severity in severities.items()}


def test_every_sign_is_found_by_some_test() -> None:
    """A sign without a fault that was really made is a promise that nobody has seen kept."""
    texts = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [sign.value for sign in Sign if not re.search(rf'"{sign.value}"|Sign\.{sign.value}\b', texts)] == []
