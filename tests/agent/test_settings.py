"""agent.toml: absent, partial, whole, or refused with the line that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.settings import Settings, parse_settings, read_settings
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """# waits
[reconnect]
base_seconds = 0.5   # short
cap_seconds = 5

[go]
ask_interval_seconds = 2.25

[identity]
rotate_after_days = 30
"""


def test_no_file_gives_the_defaults(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == Settings(1.0, 60.0, 60.0)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(WHOLE)
    assert read_settings(tmp_path) == Settings(0.5, 5.0, 2.25, 30.0)


def test_what_is_left_out_has_its_default() -> None:
    assert parse_settings("[go]\nask_interval_seconds = 9\n") == Settings(1.0, 60.0, 9.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[reconnect]\nbase_second = 1", "line 2: there is no setting reconnect.base_second"),
        ("base_seconds = 1", "line 1: there is no setting .base_seconds"),
        ("[reconnect]\nbase_seconds = -1", "line 2: 'base_seconds = -1'"),
        ("[reconnect]\nbase_seconds = 0", "line 2: 0 is not between"),
        ("[reconnect]\nbase_seconds = 99999999", "is not between"),
        ("[identity]\nrotate_after_days = 0.5", "line 2: 0.5 is not between 1 and 3650 days"),
        ("[identity]\nrotate_after_days = 3651", "line 2: 3651 is not between 1 and 3650 days"),
        ('[reconnect]\nbase_seconds = "1"', "neither a table nor a number"),
        ("[reconnect]\nbase_seconds = 1\nbase_seconds = 1", "line 3: reconnect.base_seconds stands there twice"),
        ("[reconnect]\nbase_seconds = 9\ncap_seconds = 1", "cap_seconds is below"),
        ("nonsense", "line 1"),
    ],
)
def test_a_wrong_line_is_named(text: str, said: str) -> None:
    with pytest.raises(RequestError, match=r"agent\.toml") as caught:
        parse_settings(text)
    assert said in caught.value.message
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="can't be read"):
        read_settings(tmp_path)
