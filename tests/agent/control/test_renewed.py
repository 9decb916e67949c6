"""A question that falls into the renewal of a session is asked again; one that is refused is not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fleetroll_agent.control import office as rooms
from fleetroll_agent.control.messages import Ask
from fleetroll_agent.control.office import Office
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import ProductRecord
from fleetroll_common.trust import Offered
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

SHOP = "shop"


class Listing:
    """Fails as often as it is told to."""

    def __init__(self, *codes: Code) -> None:
        self._codes = list(codes)
        self.asked = 0

    def listed(self, _product: str, _source: str) -> Offered:
        self.asked += 1
        if self._codes:
            raise AgentError("no answer", code=self._codes.pop(0), remedy="look at the server")
        return Offered(())


class Instants:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


async def asked(listing: Listing, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the exit code of a check."""
    running = SimpleNamespace(version="1.0.0", sha256="")
    state = SimpleNamespace(session=1, policy=Policy(), running=running, record=ProductRecord(SHOP))

    async def told(_product: str, _event: object) -> None:
        """Hear what is ruled."""

    desk: Any = SimpleNamespace(products=(SHOP,), state=lambda _name: state, told=told)
    clock: Any = Instants()
    monkeypatch.setattr(rooms, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": clock.sleep}))
    targets: Any = listing
    talk: Any = None
    office = Office(desk, targets, clock, lambda _why: None, lambda: None)
    return (await office.check(Ask("check", SHOP), "root", talk)).exit


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.DOWNLOAD_FAILED])
async def test_what_broke_off_is_asked_again(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Listing(code, code)
    assert await asked(listing, monkeypatch) == 0
    assert listing.asked == 3


async def test_a_server_that_stays_away_is_said_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Listing(*[Code.UNAVAILABLE] * 100)
    with pytest.raises(AgentError):
        await asked(listing, monkeypatch)
    assert 2 <= listing.asked <= 12


async def test_what_cannot_be_trusted_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Listing(Code.METADATA_FREEZE, Code.METADATA_FREEZE)
    with pytest.raises(AgentError):
        await asked(listing, monkeypatch)
    assert listing.asked == 1
