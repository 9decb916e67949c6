"""What the hosts of one proof share, made once."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_server.certificates import make_ca
from tests.agent.fake_server import hosts
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer
from tests.crash.real.host import Kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """Give a folder in memory, where there is one: a sync that costs nothing changes nothing for SIGKILL."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def made(room: Path, publish: Callable[[Releases], None]) -> Kit:
    """Publish, and enrol the host whose first slot all others take."""
    kit = Kit(Releases(), make_ca("test", datetime.now(UTC)), room / "template", room / "code")
    kit.code.mkdir()
    publish(kit.releases)

    async def enrol() -> None:
        async with FakeServer(kit.releases, kit.ca) as server:
            code, _out, err = await hosts.RealHost(kit.template).enroll(server.join_string())
            assert code == 0, err

    asyncio.run(enrol())
    return kit
