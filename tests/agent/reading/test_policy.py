"""What this host allows, and where each value comes from."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.app import main
from fleetroll_agent.reading.policy import document, effective, sentences
from fleetroll_common.values import windows
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = """\
[host]
offline = "local_schedule"

[products.shop]
kind = "command"
auto_update = true
pin = "minor 0.9"
allowed_channels = ["beta", "stable"]
windows = [
  "sat,sun 22:00-05:00 Europe/Berlin",
]
lock_command = ["/opt/busy", "--quiet"]

[products.shop.hooks]
backup = ["/opt/a"]
pull = ["/opt/a"]
smoke = ["/opt/a"]
switch = ["/opt/a"]

[download]
bandwidth_kib_per_second = 500
"""


def said(text: str, product: str, key: str) -> tuple[Any, str]:
    found = document(effective(text, NOW, "UTC"))
    row = found["host"][key] if product == "host" else found["products"][product][key]
    return row["value"], row["origin"]


@pytest.mark.parametrize(
    ("product", "key", "value", "origin"),
    [
        ("host", "offline", "local_schedule", "agent.toml line 2"),
        ("host", "session", "stream", "default"),
        ("host", "bandwidth_kib_per_second", 500, "agent.toml line 21"),
        ("host", "stall_seconds", 30.0, "default"),
        ("shop", "auto_update", "true", "agent.toml line 6"),
        ("shop", "pin", "minor 0.9", "agent.toml line 7"),
        ("shop", "allowed_channels", ["beta", "stable"], "agent.toml line 8"),
        ("shop", "windows", ["sat-sun 22:00-05:00 Europe/Berlin"], "agent.toml line 9"),
        ("shop", "lock_command", ["/opt/busy", "--quiet"], "agent.toml line 12"),
        ("shop", "min_update_interval_seconds", 600, "default"),
        ("agent", "auto_update", "false", "default"),
        ("agent", "allowed_channels", None, "default"),
    ],
)
def test_every_value_has_its_origin(product: str, key: str, value: Any, origin: str) -> None:
    """A line of the file, or the default, also for the agent whose table may be left out."""
    assert said(TEXT, product, key) == (value, origin)


def test_a_quoted_name_and_an_inline_table_have_their_lines_too() -> None:
    """However TOML lets a key be written."""
    text = '[products]\n"shop" = { kind = "slots", unit = "a",\n  auto_update = "never" }\n'.replace(",\n ", ",")
    assert said(text, "shop", "auto_update") == ("never", "agent.toml line 2")


def test_the_lines_for_people_say_the_same() -> None:
    """Products in their order, the agent first; what is absent has a word."""
    lines = sentences(effective(TEXT, NOW, "UTC"))
    assert [line for line in lines if not line.startswith(" ")] == ["host", "agent", "shop"]
    assert "  lock_command                 /opt/busy --quiet  (agent.toml line 12)" in lines
    assert "  allowed_channels             any  (default)" in lines


def test_a_product_without_windows_is_always_open() -> None:
    """And one with windows says when they open next: the first of March is a Sunday, Berlin an hour ahead."""
    assert said(TEXT, "agent", "next_window") == ("always open", "")
    assert said(TEXT, "shop", "next_window") == ("2026-03-01T21:00:00Z", "")


@pytest.mark.parametrize(
    ("opens", "words"),
    [
        (datetime(2026, 3, 7, 21, tzinfo=UTC), "2026-03-07T21:00:00Z"),
        (NOW, "now"),
        (None, "never within 400 days"),
        (
            RequestError("zone: 'Mars/Base' is unknown", code=Code.INVALID_ARGUMENT),
            "never: zone: 'Mars/Base' is unknown",
        ),
    ],
)
def test_the_next_opening_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, opens: datetime | RequestError | None, words: str
) -> None:
    """By the rules that the agent itself goes by."""

    def next_opening(listed: Any, now: datetime, zone: str, needed: float) -> datetime | None:
        assert (len(listed), now, zone, needed) == (1, NOW, "UTC", 120.0)
        if isinstance(opens, RequestError):
            raise opens
        return opens

    monkeypatch.setattr(windows, "next_opening", next_opening)
    assert said(TEXT, "shop", "next_window") == (words, "")


def test_the_command_names_one_product_and_refuses_a_strange_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the names that there are."""
    (tmp_path / "agent.toml").write_text(TEXT)
    assert main(["policy", "shop", "--state", str(tmp_path), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["products"]) == ["shop"]
    assert main(["policy", "till", "--state", str(tmp_path)]) == 21
    assert "name one of agent, shop" in capsys.readouterr().err


def test_settings_that_are_wrong_are_refused_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the agent refuses them at its start."""
    (tmp_path / "agent.toml").write_text('[host]\noffline = "maybe"\n')
    assert main(["policy", "--state", str(tmp_path)]) == 21
    assert "agent.toml, line 2: host.offline = 'maybe'" in capsys.readouterr().err
    (tmp_path / "agent.toml").write_bytes(b"\xff")
    assert main(["policy", "--state", str(tmp_path)]) == 21
    assert "can't be read" in capsys.readouterr().err
