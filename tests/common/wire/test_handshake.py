"""The choice of a protocol version and the sizes of what is sent."""

from __future__ import annotations

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire import handshake


@pytest.mark.parametrize(("lowest", "highest", "chosen"), [(1, 1, 1), (1, 2, 2), (1, 9, 3), (3, 4, 3), (2, 2, 2)])
def test_the_highest_version_of_both_is_chosen(
    monkeypatch: pytest.MonkeyPatch, lowest: int, highest: int, chosen: int
) -> None:
    monkeypatch.setattr(handshake, "PROTOCOL", 3)
    assert handshake.choose_protocol(lowest, highest) == chosen


@pytest.mark.parametrize(
    ("lowest", "highest", "remedy"),
    [(4, 5, "server"), (1, 1, "agent"), (0, 3, "agent"), (3, 2, "agent"), (-1, 0, "agent")],
)
def test_ranges_that_do_not_meet_are_refused_with_who_must_update(
    monkeypatch: pytest.MonkeyPatch, lowest: int, highest: int, remedy: str
) -> None:
    monkeypatch.setattr(handshake, "PROTOCOL", 3)
    monkeypatch.setattr(handshake, "PROTOCOL_OLDEST", 2)
    with pytest.raises(RequestError, match=f"update the {remedy}") as caught:
        handshake.choose_protocol(lowest, highest)
    assert caught.value.code is Code.PROTOCOL_UNSUPPORTED


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_value_of_another_size_is_refused_by_name_without_its_content(size: int) -> None:
    handshake.require_size("nonce", b"s" * 32, 32)
    with pytest.raises(RequestError, match=f"nonce: {size} bytes, not 32") as caught:
        handshake.require_size("nonce", b"s" * size, 32)
    assert caught.value.details["field"] == "nonce"
