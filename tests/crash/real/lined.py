"""A real host with a line between it and its server, which a test disturbs."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.keeper import ProductFile
from tests.crash.real.host import RealHost
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.jobs.values import ProductRecord
    from tests.crash.real.host import Kit
    from tests.faults.plans import Act, Chase


class LinedHost(RealHost):
    """One state folder, its server, the line between them, and whatever launcher runs on it."""

    def __init__(self, kit: Kit, folder: Path, act: Act | None = None, hunt: Chase | None = None) -> None:
        super().__init__(kit, folder, act, hunt)
        self.line: Proxy
        """Between the host and its server."""
        self._laid = AsyncExitStack()

    async def __aexit__(self, *error: object) -> None:
        try:
            await super().__aexit__(*error)
        finally:
            await self._laid.aclose()

    async def _lay_line(self) -> None:
        host, _, port = self.server.address.partition(":")
        self.line = await self._laid.enter_async_context(Proxy.to(host, int(port)))
        self.server.address = self.line.address

    async def restart_server(self) -> None:
        """End every session and start the server anew, on its old port."""
        await self.server.stop()
        await self.server.start(self.line.target[1])
        self.server.address = self.line.address

    async def check_serving(self) -> None:
        """Judge that what is updated runs, whole, in one of the versions that it may have now."""
        raise NotImplementedError

    def product_record(self) -> ProductRecord:
        """Return the agent's record of what is updated."""
        return ProductFile(self.state, self.product).read()
