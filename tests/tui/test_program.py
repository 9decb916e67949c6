"""The program: options, files, and one sentence for every error."""

from __future__ import annotations

import locale
from typing import TYPE_CHECKING

import pytest

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


async def test_a_terminal_that_is_not_utf8_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _set=True: "ANSI_X3.4-1968")
    assert _console(parser().parse_args(["--replay", str(FILE)]))().paint.ascii_only
    monkeypatch.setattr(locale, "getpreferredencoding", lambda _set=True: "UTF-8")
    assert not _console(parser().parse_args(["--replay", str(FILE)]))().paint.ascii_only
