"""What a staging that failed tells the server and the person names what can be done about it."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tuf.api.exceptions import DownloadError

from fleetroll_agent.fetch.choice import Fault, failure
from fleetroll_agent.jobs.artefacts import staging_failed
from fleetroll_agent.jobs.effects import FillSlot
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.trust.faults import explain
from fleetroll_common.trust.listing import not_listed
from fleetroll_common.trust.updater import Sight
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from fleetroll_agent.fetch.values import TargetSource


@dataclass
class Wanted:
    path: str = "shop/1.1.0/any-any-any.tar.zst"
    length: int = 1000
    sha256: str = "a" * 64


class Away:
    """A connection that is over."""

    def repository(self, session: int) -> TargetSource:
        raise AssertionError(session)

    async def over(self, session: int, seconds: float) -> None:
        assert session == 3
        assert seconds > 0


def full_disk() -> FleetrollError:
    with pytest.raises(FleetrollError) as caught, typed_disk_errors("writing the slot"):
        raise OSError(errno.ENOSPC, "No space left on device", "/state/slots/x")
    return caught.value


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (not_listed("shop/9.9.9/any-any-any.tar.zst"), "publish it, or ask for a release that is listed"),
        (explain(DownloadError("no connection: Name or service not known"), Sight("root")), "server is reachable"),
        (failure(Wanted(), [Fault("mirror", "404")], 17), "it goes on where it stopped"),
        (failure(Wanted(), [Fault("mirror", "wrong bytes", lied=True)], 0), "compare the artefact of mirror"),
        (full_disk(), "free space"),
    ],
    ids=lambda value: value.code.value if isinstance(value, FleetrollError) else "",
)
async def test_the_message_of_a_failed_staging_says_what_to_do(error: FleetrollError, remedy: str) -> None:
    told = await staging_failed(FillSlot(1, 3, 7, "1.1.0", "a" * 64), Away(), error)
    assert told.code is error.code
    assert error.message in told.message
    assert remedy in told.message
