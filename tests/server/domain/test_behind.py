"""Behind is judged by the newest release that has an artefact for the host's platform."""

from __future__ import annotations

from fleetroll_common.values.platform import Platform
from fleetroll_server.domain.behind import Newest
from fleetroll_server.domain.eligible import ReleaseFacts

LINUX, MAC = Platform.parse("linux-x86_64-cp311"), Platform.parse("macos-arm64-cp311")


def release(version: str, *platforms: Platform) -> ReleaseFacts:
    return ReleaseFacts("agent", version, dict.fromkeys(platforms, "ab" * 32))


def test_a_release_without_an_artefact_for_the_platform_makes_nobody_behind() -> None:
    newest = Newest([release("1.0.0", LINUX, MAC), release("1.10.0", LINUX), release("1.9.0", LINUX)])
    assert (newest.version_for(LINUX), newest.version_for(MAC)) == ("1.10.0", "1.0.0")
    assert newest.is_behind("1.9.0", LINUX)
    assert not newest.is_behind("1.0.0", MAC)
    assert newest.standing("1.9.0", MAC) == "newer"


def test_where_there_is_nothing_to_go_by_it_is_unknown() -> None:
    assert Newest([]).standing("1.0.0", LINUX) == "unknown"
    newest = Newest([release("1.0.0", LINUX)])
    assert (newest.standing("1.0.0", None), newest.standing("", LINUX)) == ("unknown", "unknown")
    assert newest.standing("0.0.0+dev", LINUX) == "dev"
