"""The program: options, files, and one sentence for every error."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fleetroll_tui import letters
from fleetroll_tui.feed.replay import Replay
from fleetroll_tui.program import _console, main, parser
from tests.tui.scenes import FILE

if TYPE_CHECKING:
    from pathlib import Path

CA = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SERVER", "CA", "TOKEN_FILE", "CONTEXT"):
        monkeypatch.delenv(f"FLEETROLL_{name}", raising=False)
    monkeypatch.setenv("FLEETROLL_CONFIG", str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "server: not given"),
        (["--server", "x:1"], "ca: not given"),
        (["--replay", "none.jsonl"], "can't be read"),
        (["--replay", "none.jsonl", "--server", "x:1"], "a recording is played alone"),
        (["--context", "nowhere"], "there is no 'nowhere'"),
    ],
)
def test_every_error_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert told.startswith("fleetroll-console: ")
    assert said in told
    assert told.count("\n") == 1


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--colour"])
    assert caught.value.code == 2
    assert "usage: fleetroll-console" in capsys.readouterr().err


async def test_a_recording_needs_no_server() -> None:
    app = _console(parser().parse_args(["--replay", str(FILE), "--theme", "light", "--ascii"]))()
    assert isinstance(app.server, Replay)
    assert app.environment == FILE.name
    assert app.paint.ascii_only
    assert app.palette_name == "light"


ASKS = "from fleetroll_tui.letters import speaks_utf8; print(speaks_utf8())"


@pytest.mark.parametrize(
    ("said", "utf8"),
    [
        ({}, False),
        ({"LANG": "C"}, False),
        ({"LANG": "POSIX"}, False),
        ({"LC_ALL": "C"}, False),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_CTYPE": "C", "LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LANG": "C", "PYTHONUTF8": "1"}, False),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.utf8"}, True),
        ({"LANG": "C.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8"}, True),
        ({"LC_ALL": "", "LC_CTYPE": "en_GB.UTF-8", "LANG": "C"}, True),
        ({"LC_CTYPE": "UTF-8"}, True),
        ({"LC_CTYPE": "C.UTF-8", "PYTHONCOERCECLOCALE": "0"}, True),
    ],
    ids=str,
)
def test_the_locale_is_judged_as_the_user_set_it_not_as_the_interpreter_changed_it(
    said: dict[str, str], utf8: bool
) -> None:
    command = [sys.executable, "-c", ASKS]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], **said}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(utf8)


def test_a_program_that_the_command_line_started_judges_as_its_user_set_it() -> None:
    """The interpreter that hands over has set its own idea of the locale in the environment."""
    hand_over = f"import os, sys; os.execv(sys.executable, [sys.executable, '-c', {ASKS!r}])"
    command = [sys.executable, "-c", hand_over]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


async def test_a_terminal_that_is_not_utf8_gets_ascii(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(letters, "_GIVEN", tmp_path / "no such system")
    monkeypatch.setenv("LC_ALL", "C")
    assert _console(parser().parse_args(["--replay", str(FILE)]))().paint.ascii_only
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    assert not _console(parser().parse_args(["--replay", str(FILE)]))().paint.ascii_only
