"""agent.toml: absent, partial, whole, or refused with the line, key and value that are wrong, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.settings import Settings, parse_settings, read_settings
from fleetroll_agent.settings.toml import MAX_TEXT_CHARS
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from tests.agent.settings.told import refusal, told

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
    """A host without the file has every default."""
    assert read_settings(tmp_path) == Settings(1.0, 60.0, 60.0)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """What the file says is what the host goes by."""
    (tmp_path / "agent.toml").write_text(WHOLE)
    assert read_settings(tmp_path) == Settings(0.5, 5.0, 2.25, 30.0)


def test_a_file_with_the_line_ends_of_another_system_is_read(tmp_path: Path) -> None:
    """An editor on another system may have written the file."""
    (tmp_path / "agent.toml").write_bytes(WHOLE.replace("\n", "\r\n").encode())
    assert read_settings(tmp_path) == Settings(0.5, 5.0, 2.25, 30.0)


def test_what_is_left_out_has_its_default() -> None:
    """One key alone changes one setting alone."""
    assert parse_settings("[go]\nask_interval_seconds = 9\n") == Settings(1.0, 60.0, 9.0)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[reconnect]\nbase_second = 1", 2, "reconnect.base_second = 1 is not known here"),
        ("base_seconds = 1", 1, "base_seconds = 1 is not known here"),
        (
            '[products.shop]\nkind = "slots"\nstop_revoked = true',
            3,
            "products.shop.stop_revoked = true is not known here",
        ),
        ("[reconnect]\nbase_seconds = -1", 2, "reconnect.base_seconds = -1 is not above 0 and at most 86400"),
        ("[reconnect]\nbase_seconds = 0", 2, "reconnect.base_seconds = 0 is not above 0 and at most 86400"),
        ("[reconnect]\nbase_seconds = 86401", 2, "reconnect.base_seconds = 86401 is not above 0 and at most 86400"),
        ("[reconnect]\nbase_seconds = nan", 2, "reconnect.base_seconds = nan is not a number"),
        ("[reconnect]\nbase_seconds = inf", 2, "reconnect.base_seconds = inf is not a number"),
        ("[reconnect]\nbase_seconds = true", 2, "reconnect.base_seconds = true is not a number"),
        ('[reconnect]\nbase_seconds = "1"', 2, "reconnect.base_seconds = '1' is not a number"),
        ("[reconnect]\nbase_seconds = 1979-05-27", 2, "reconnect.base_seconds = 1979-05-27 is not a number"),
        ("[identity]\nrotate_after_days = 0.5", 2, "identity.rotate_after_days = 0.5 is not 1 to 3650"),
        ("[identity]\nrotate_after_days = 3651", 2, "identity.rotate_after_days = 3651 is not 1 to 3650"),
        ("[reconnect]\nbase_seconds = 1\nbase_seconds = 1", 3, "'base_seconds = 1' can't be read: cannot overwrite a"),
        ("[go]\n[go]", 2, "'[go]' can't be read: cannot declare ('go',) twice"),
        ("[reconnect]\nbase_seconds = 9\ncap_seconds = 1", 3, "reconnect.cap_seconds = 1 is below reconnect.base_sec"),
        ("[reconnect]\n\nbase_seconds = 90", 3, "reconnect.base_seconds = 90 is above reconnect.cap_seconds, 60"),
        ("nonsense", 1, "'nonsense' can't be read: expected '='"),
        ("[go]\n\nask = '''a\nb", 4, "'b' can't be read: expected"),
        ("reconnect = 3", 1, "reconnect = 3 is not a table"),
        ("\n[[reconnect]]\ncap_seconds = 1", 2, "reconnect = [{…}] is not a table"),
        ("[host]\ncontainers = 1", 2, "host.containers = 1 is neither true nor false"),
        ('[host]\ncontainers = "true"', 2, "host.containers = 'true' is neither true nor false"),
        ('[host]\nsession = "Poll"', 2, "host.session = 'Poll' is not known here"),
        ("[host]\nsession = ['poll']", 2, "host.session = ['poll'] is not known here"),
        ("[host]\ncheck_in_seconds = 59", 2, "host.check_in_seconds = 59 is not 60 to 86400"),
        ("[host]\ncheck_in_seconds = 60.0", 2, "host.check_in_seconds = 60.0 is not a whole number"),
        ("[host]\ncheck_in_seconds = false", 2, "host.check_in_seconds = false is not a whole number"),
        ('[host]\noffline = "never"', 2, "host.offline = 'never' is not known here"),
        ('[host]\norder = ["shop"]', 2, "host.order[0] = 'shop' has no table in this file"),
        ('[host]\norder = "shop"', 2, "host.order = 'shop' is not an array"),
        ('[host]\norder = [\n"A",\n]', 3, "host.order[0] = 'A' is not a name of small letters"),
        ("[download]\nbandwidth_kib_per_second = -1", 2, "download.bandwidth_kib_per_second = -1 is not 0 to 10000000"),
        ("[download]\nslowest_kib_per_second = 0", 2, "download.slowest_kib_per_second = 0 is not 1 to 10000000"),
        ("[download]\nstall_seconds = 0.5", 2, "download.stall_seconds = 0.5 is not 1 to 3600"),
        (f"a = 0x{'f' * 9000}", 1, "a = a number of more than 18 digits is not known here"),
    ],
)
def test_a_fault_is_told_with_line_key_and_value(text: str, line: int, said: str) -> None:
    """Whoever wrote the file reads where the fault is, and what stands there."""
    at, sentence, _ = told(text)
    assert (at, sentence[: len(said)]) == (line, said)


def test_of_several_faults_the_first_in_the_file_is_told() -> None:
    """Faults are told from the top, whichever rule found them."""
    text = '[products.shop]\nkind = "file"\n\n[host]\nsession = 1\n[reconnect]\ncap_seconds = 0\n[go]\nask = 1\n'
    assert told(text)[:2] == (1, "products.shop.path is missing")
    whole = text.replace('"file"', '"slots"')
    assert told(whole)[0] == 5
    assert told(whole.replace("session = 1", ""))[0] == 7
    assert told(whole.replace("session = 1", "").replace("cap_seconds = 0", ""))[0] == 9


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("[reconnect]\nbase_second = 1", "write base_seconds, if that is what is meant"),
        ("[product.shop]", "write products, if that is what is meant"),
        (
            "[go]\nzzz = 1",
            "write one of ask_interval_seconds",
        ),
        ("cap_seconds = 1", "move it to the table [reconnect], below its header"),
        (
            '[products.shop]\nkind = "slots"\n[products.shop.hooks]\nlink = "/x"',
            "move it to the table [products.shop], below its header",
        ),
        (
            '[products.shop]\nkind = "slots"\ninterval_seconds = 1',
            "move it to the table [products.shop.health], below its header",
        ),
    ],
)
def test_an_unknown_key_is_told_what_may_have_been_meant(text: str, remedy: str) -> None:
    """A slip of the pen is told the nearest name, and a key below the wrong header where it belongs."""
    assert told(text)[2] == remedy


def test_an_error_has_its_parts_for_machines() -> None:
    """Line, key and value stand in the details too."""
    error = refusal("[reconnect]\nbase_seconds = 0")
    assert error.details == {"file": "agent.toml", "line": "2", "key": "reconnect.base_seconds", "value": "0"}
    assert error.remedy == "write a number, above 0 and at most 86400"


def test_nothing_in_an_error_can_be_obeyed_by_a_terminal() -> None:
    """What stands in the file is shown, never sent to the screen as it is."""
    error = refusal('[host]\n"\\u001b[2J" = "\\u001b[2J\\n' + "x" * 5000 + '"')
    assert str(error).isprintable()
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[go]\nx = " + "[" * 5000, 2, "too many brackets stand in each other"),
        ("x = 1\ny = " + "9" * 5000, 2, "a number has too many digits"),
    ],
    ids=["brackets", "digits"],
)
def test_what_the_readers_of_toml_choke_on_is_a_fault_like_any_other(text: str, line: int, said: str) -> None:
    """Depth and length end in a sentence, not in the reader's own troubles."""
    at, sentence, _ = told(text)
    assert at == line
    assert sentence.endswith(said)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are refused."""
    (tmp_path / "agent.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="can't be read"):
        read_settings(tmp_path)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """What is there and is no file is no absence."""
    (tmp_path / "agent.toml").mkdir()
    with pytest.raises(RequestError, match="can't be read") as caught:
        read_settings(tmp_path)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("more", [0, 1, 10 * MAX_TEXT_CHARS])
def test_a_file_has_an_end(tmp_path: Path, more: int) -> None:
    """A file of any length costs the host no more than the longest one that is allowed."""
    (tmp_path / "agent.toml").write_text("#" * (MAX_TEXT_CHARS + more))
    if more:
        with pytest.raises(RequestError, match=f"{MAX_TEXT_CHARS} are allowed"):
            read_settings(tmp_path)
    else:
        assert read_settings(tmp_path) == Settings()
