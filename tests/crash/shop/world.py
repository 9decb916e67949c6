"""One host whose agent updates a real web service, as a product of one of three kinds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.crash.real.host import BOOT, LAUNCHER, SETTINGS, SUCCEEDED
from tests.crash.real.lined import LinedHost
from tests.crash.shop import verdicts
from tests.crash.shop.offers import AGENT, COURSE, PRODUCT, Offer, settle_in
from tests.faults.plans import Source
from tests.faults.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.crash.real.host import Kit
    from tests.faults.plans import Act, Chase

STARTING, SERVING, HOOK = "starting", "agent", "hook"
_RECORD = Source(
    f"products/{PRODUCT}.json",
    [["attempt.stage", "attempt.step", "attempt.work.child?"], ["outcomes.-1.said", "outcomes.-1.acked_at?"]],
)
SOAK_SECONDS = 0.5


class ShopHost(LinedHost):
    """One state folder, a shop at 1.0.0 that is kept by its own supervisor, and the server that offers new versions."""

    product = PRODUCT
    roles = (
        ("child.py", STARTING),
        ("hooks/held.py", HOOK),
        (f"agent/{AGENT}-", SERVING),
        ("run_launcher.py", LAUNCHER),
    )
    records = {LAUNCHER: BOOT, STARTING: BOOT, SERVING: _RECORD}  # noqa: RUF012 (never changed)
    agents_roles = frozenset({SERVING})
    bare = ("hooks/held.py",)

    def __init__(
        self, kit: Kit, folder: Path, act: Act | None = None, hunt: Chase | None = None, *, kind: str = "slots"
    ) -> None:
        super().__init__(kit, folder, act, hunt)
        self.shop = Shop(folder / "shop", kind)
        self.offers: dict[int, Offer] = {}
        """By the generation of the attempt."""

    async def __aexit__(self, *error: object) -> None:
        try:
            await super().__aexit__(*error)
        finally:
            await asyncio.to_thread(self.shop.stop)

    async def _enrol(self) -> None:
        await super()._enrol()
        settle_in(self.kit, self.state, self.shop)
        self.shop.start()  # in this thread: it ends with the one that started it

    def settings(self) -> str:
        return SETTINGS + self.shop.settings()

    def begin(self) -> None:
        self.offer(COURSE[0])

    def offer(self, offer: Offer, *, retry_bad: bool = False) -> None:
        """Desire a version."""
        self.assigned += 1
        self.offers[self.assigned] = offer
        self.server.assign(offer.version, self.assigned, product=PRODUCT, soak=SOAK_SECONDS, retry_bad=retry_bad)

    def next_attempt(self, results: Sequence[str], *, more: bool) -> bool:
        last, result = self.offers[self.assigned], results[-1]
        behind = COURSE.index(last) + 1
        if not last.fault and result != SUCCEEDED:
            self.offer(last, retry_bad=True)
        elif last.fault or (more and behind < len(COURSE)):
            self.offer(COURSE[behind])
        else:
            return False
        return True

    def bears_another(self) -> bool:
        """Tell whether the way back is not what was killed last: it is tried three times, and then left to a person."""
        kills = self.kills()
        if not kills or kills[-1].product.attempt is None:
            return True
        work = kills[-1].product.attempt.work
        return work is None or not work.going_back or bool(self.ended(kills[-1].generation))

    async def check_serving(self) -> None:
        """Judge that the shop answers with a whole version."""
        await verdicts.check_whole(self)

    async def check_come_up(self, hello: stream_pb2.HelloPayload) -> None:
        await verdicts.check_come_up(self, hello)

    def check_attempts(self) -> None:
        verdicts.check_attempts(self)

    async def check_end(self) -> None:
        await verdicts.check_end(self)
