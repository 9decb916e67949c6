"""Settings: file, environment, command line, in this order of weight; every field documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.errors import RequestError
from fleetroll_server.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_the_command_line_outweighs_the_environment_and_that_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fleetroll-server.toml"
    path.write_text('listen = "127.0.0.1:1"\nlog_level = "debug"\ndrain_seconds = 9\n')
    monkeypatch.setenv("FLEETROLL_SERVER_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("FLEETROLL_SERVER_LOG_LEVEL", "error")
    monkeypatch.setenv("FLEETROLL_SERVER_ADDRESSES", "a.example:1, [::1]:2")
    settings = load_settings(path, listen="127.0.0.1:3")
    assert (settings.listen, settings.log_level, settings.drain_seconds) == ("127.0.0.1:3", "error", 9.0)
    assert settings.addresses == ("a.example:1", "[::1]:2")


def test_without_a_file_every_field_has_its_default(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none.toml").timestamp_seconds == 3600


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('listne = "x:1"', "listne"),
        ('listen = "no port"', "listen"),
        ("drain_seconds = -1", "drain_seconds"),
        ('log_level = "loud"', "log_level"),
        ('addresses = ["a:1", "b"]', "addresses.1"),
        ("lease_seconds = 0", "lease_seconds"),
        ('listen = "127.0.0.1:65536"', "listen"),
        ('addresses = ["a:65535", "b:99999"]', "addresses.1"),
        ('addresses = ["a:1", "b:0"]', "addresses.1"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "fleetroll-server.toml"
    path.write_text(text)
    with pytest.raises(RequestError) as caught:
        load_settings(path)
    assert caught.value.details["field"] == field


def test_a_port_that_does_not_exist_is_named_with_its_bounds(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        load_settings(tmp_path / "fleetroll-server.toml", listen="127.0.0.1:99999")
    assert caught.value.message == "settings: listen: the port of '127.0.0.1:99999' is not one of 0 to 65535"
    assert "the command line" in caught.value.remedy


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fleetroll-server.toml"
    path.write_text("listen = ")
    with pytest.raises(RequestError, match=r"fleetroll-server\.toml is no TOML"):
        load_settings(path)


def test_every_field_says_what_it_is_in_which_unit() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if name.endswith("_seconds"):
            assert "in seconds" in field.description, name
