"""A host without a network, and the person who carries bundles to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.bundle import open_source
from fleetroll_agent.fetch import SourcesInTurn, fetch_target
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.errors import FleetrollError
from tests.faults.repositories import START, Host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleetroll_agent.jobs.artefacts import Found
    from fleetroll_common.values.codes import Code
    from tests.faults.carried import Warehouse

DAY = 86_400.0


class Carrier:
    """One host, with the trust folder and the clock of :class:`tests.faults.repositories.Host`."""

    def __init__(self, folder: Path, warehouse: Warehouse) -> None:
        """Make the host; it has seen nothing yet."""
        self.folder = folder
        self.warehouse = warehouse
        self.host = Host(folder, warehouse)

    def honest(self, product: str = "shop", version: str = "1.0.0") -> Path:
        """Return a bundle as it is made at the repository, whose clock is right."""
        clock = FakeClock(max(START, self.warehouse.now))
        number = len(list(self.folder.glob("*.bundle")))
        return self.warehouse.bundle(self.folder / f"{number}.bundle", clock, (product, version))

    def find(self, bundle: Path | str, product: str = "shop", version: str | None = "1.0.0") -> Found:
        """Look a release up in a bundle or a mirror."""
        return self.found(bundle, product, version)[0]

    def waived(self, bundle: Path | str, product: str = "shop") -> tuple[str, ...]:
        """Return what was waived."""
        return self.found(bundle, product)[1]

    def found(
        self, bundle: Path | str, product: str = "shop", version: str | None = "1.0.0"
    ) -> tuple[Found, tuple[str, ...]]:
        """Return both."""
        return asyncio.run(open_source(str(bundle)).find(self.host.client, product, version))

    def install(self, bundle: Path | str, product: str = "shop", version: str | None = "1.0.0") -> bytes:
        """Look a release up and fetch it; return its bytes."""

        async def work() -> bytes:
            source = open_source(str(bundle))
            found, _waived = await source.find(self.host.client, product, version)
            dest = self.folder / "fetched"
            dest.unlink(missing_ok=True)
            sources = SourcesInTurn((source.targets,))
            return (await fetch_target(sources, found.target, dest, self.host.clock)).read_bytes()

        return asyncio.run(work())

    def refuses(self, bundle: Path | str, *codes: Code, product: str = "shop") -> FleetrollError:
        """Be refused with one of ``codes``, twice, before and after a restart; return the error."""
        errors = []
        for restart in (False, True):
            if restart:
                self.host.restart()
            with pytest.raises(FleetrollError) as caught:
                self.install(bundle, product)
            assert caught.value.code in codes, caught.value
            assert caught.value.remedy
            errors.append(caught.value)
        assert not (self.folder / "fetched").exists()
        return errors[0]

    def state(self) -> Mapping[str, bytes]:
        """Return the trust folder, name by name."""
        return self.host.state()
