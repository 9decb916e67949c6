"""Join strings: read back as they were written, each kind of damage named, the secret never shown."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.joinstring import PREFIX, JoinString

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
JOIN = JoinString(("fleet.example:8443", "[2001:db8::1]:8443"), "hunter2-secret", PEM, b"\x07" * 32)


def _packed(parts: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")
    return f"{PREFIX}{len(body)}:{zlib.crc32(body.encode()):08x}:{body}"


def _damage(text: str) -> str:
    with pytest.raises(RequestError) as caught:
        JoinString.decode(text)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "hunter2" not in str(caught.value)
    return caught.value.message


def test_a_join_string_is_read_back() -> None:
    assert JoinString.decode(JOIN.encode()) == JOIN


def test_the_format_is_fixed() -> None:
    """A host with another version of the program reads this very string."""
    assert JoinString(("a:1",), "t", PEM, b"\0" * 32).encode() == GOLDEN


def test_white_space_of_terminals_and_mail_does_not_matter() -> None:
    text = JOIN.encode()
    wrapped = "\n".join(text[place : place + 60] for place in range(0, len(text), 60))
    assert JoinString.decode(f"  {wrapped}\r\n") == JOIN


def test_the_token_is_never_shown_by_repr() -> None:
    assert "hunter2" not in repr(JOIN)
    assert "fleet.example" in repr(JOIN)


def test_each_damage_has_its_own_words() -> None:
    text = JOIN.encode()
    place = len(text) - 9
    changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
    assert "does not begin with" in _damage("hunter2")
    assert "does not begin with" in _damage("")
    assert "has version 2" in _damage(text.replace("-1:", "-2:", 1))
    assert "it was cut" in _damage(text[:-5])
    assert "something was added" in _damage(text + "AA")
    assert "a character was changed" in _damage(changed)
    assert "beginning is damaged" in _damage(text.replace(":", ";", 2).replace(";", ":", 1))
    assert "never stand in one" in _damage(text[:-1] + "ä")
    assert "more than" in _damage(text + "A" * 70_000)


@given(st.data())
def test_any_changed_character_is_refused(data: st.DataObject) -> None:
    text = JOIN.encode()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii", exclude_characters=text[place] + " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"))
    assert _damage(text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize(
    "parts",
    [
        [],
        {},
        {"addresses": None, "token": "t", "ca_pem": PEM.decode(), "root_sha256": "00" * 32},
        {"addresses": ["a:1"], "token": 7, "ca_pem": PEM.decode(), "root_sha256": "00" * 32},
        {"addresses": ["a:1"], "token": "t", "ca_pem": PEM.decode(), "root_sha256": "zz"},
        {"addresses": ["a:1"], "token": "t", "ca_pem": PEM.decode(), "root_sha256": "00"},
        {"addresses": ["a:1"], "token": "t", "ca_pem": "ä", "root_sha256": "00" * 32},
    ],
)
def test_parts_of_the_wrong_kind_behind_a_good_checksum_are_refused(parts: object) -> None:
    assert _damage(_packed(parts))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("addresses", ()),
        ("addresses", ("a:1",) * 17),
        ("addresses", ("no-port",)),
        ("addresses", ("a:0",)),
        ("addresses", ("a:65536",)),
        ("addresses", ("a b:1",)),
        ("token", ""),
        ("token", "two words"),
        ("token", "x" * 257),
        ("ca_pem", b"no certificate"),
        ("root_sha256", b"short"),
    ],
)
def test_a_part_that_no_host_could_use_is_refused_by_name(field: str, value: object) -> None:
    parts: dict[str, object] = {"addresses": ("a:1",), "token": "t", "ca_pem": PEM, "root_sha256": b"\0" * 32}
    with pytest.raises(RequestError) as caught:
        JoinString(**{**parts, field: value})  # type: ignore[arg-type]
    assert caught.value.details["field"] == field


GOLDEN = (
    "fleetroll-join-1:251:e31908d4:eyJhZGRyZXNzZXMiOlsiYToxIl0sImNhX3BlbSI6Ii0tLS0tQkVHSU4gQ0VSVElGSUNBVE"
    "UtLS0tLVxuTUlJQlxuLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLVxuIiwicm9vdF9zaGEyNTYiOiIwMDAwMDAwMDAwMDAwMDAwMD"
    "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIiwidG9rZW4iOiJ0In0"
)
