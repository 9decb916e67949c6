"""Real launchers with real children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Host

    Arming = Callable[..., dict[str, Any]]


def test_a_good_version_is_tried_promoted_and_kept(host: Host, arming: Arming) -> None:
    new = host.slot("1.1.0")
    host.enrol(host.slot("1.0.0", arm=arming(new)))
    host.launch()
    host.until(lambda: f"committed 1.1.0 {new['digest'][:8]}" in host.journal())
    record = host.record()
    assert (record.current.version, record.previous and record.previous.version) == ("1.1.0", "1.0.0")
    assert record.trial is None
    assert record.last is not None
    assert str(record.last.attempt) == "server:1"
    assert (host.state / "slots/agent" / new["slot"] / "GOOD").exists()
