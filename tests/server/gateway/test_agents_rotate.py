"""The real agent's half of a rotation against the real gateway: crashes, lost answers, and never a false alarm."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.identity import records
from fleetroll_agent.identity.facts import Enrolment
from fleetroll_agent.identity.ratchet import Keys
from fleetroll_agent.identity.store import RATCHET, IdentityStore
from fleetroll_agent.jobs.journal import Journal
from fleetroll_agent.session import stream
from fleetroll_agent.session.facts import End, Ended, HostFacts, ProductFacts
from fleetroll_agent.session.hello import EndedError
from fleetroll_agent.session.link import Link
from fleetroll_agent.session.rotation import Rotation
from fleetroll_agent.settings import Settings
from fleetroll_common.durable import dump_record, effects, load_record
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.platform import Platform
from fleetroll_common.wire.signing import public_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.faults.worlds import World

SETTINGS = Settings(reconnect_base_seconds=0.02, reconnect_cap_seconds=0.1)


class RealAgent:
    """The agent's own identity and session code for one host of the world; the rest of the host is a stub."""

    def __init__(self, world: World, folder: Path, name: str = "host-1") -> None:
        """Take over the key and ratchet of the virtual host ``name``, with a key of half a year and more."""
        self.world, self.name, self.folder = world, name, folder
        self.idle, self.healthy, self.on_trial = True, True, False
        self.disk = world.agent(name).disk
        self.welcomes = 0
        store = self.store()
        store.candidate()
        store.enrol(
            Enrolment(
                self.disk.agent_id, "fleet", (world.server.address,), "", {}, b"", b"", world.services.ca_pem, b""
            )
        )
        self.write("key", records.keys_record(Keys(self.disk.seed, since=0.0)))
        self.write("ratchet.json", records.ratchet_record(self.disk.ratchet, None))

    def store(self) -> IdentityStore:
        return IdentityStore(self.folder / "identity", SystemIds())

    def write(self, name: str, record: dict[str, Any]) -> None:
        (self.folder / "identity" / name).write_bytes(dump_record(record))

    @property
    def keys(self) -> Keys:
        """What is on the disk."""
        return records.read_keys(load_record((self.folder / "identity" / "key").read_bytes()))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run one process: its end is that of a kill."""
        journal = Journal(self.folder / "journal", SystemIds())
        store, clock = self.store(), self.world.clock
        identity = store.load()
        rotation = Rotation(store, identity, SETTINGS, clock, "boot")
        work = asyncio.create_task(Link(store, rotation, self, journal, SETTINGS, clock).run())
        try:
            yield work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def row(self) -> Any:
        return await self.world.identity(self.name)

    async def until_key(self, key: bytes) -> None:
        """Wait until the server knows the host by ``key`` alone, and the host's disk says the same."""
        async with asyncio.timeout(20):
            while True:
                row = await self.row()
                if (row["public_key"], row["next_key"]) == (public_key(key), None) and self.keys.current == key:
                    return
                await asyncio.sleep(0.02)

    async def at_home(self) -> None:
        """No alarm was raised, and the host is welcome."""
        assert await self.world.events("alert.identity_cloned") == []
        seen = self.welcomes
        async with self.running(), asyncio.timeout(20):
            while self.welcomes == seen:
                await asyncio.sleep(0.02)
        assert not (await self.row())["quarantined"]

    async def before_hello(self, _receipt: object, *, evidence: bool = False) -> HostFacts:
        return HostFacts(
            host_name=self.name,
            platform=Platform("linux", "x86_64", "cp311"),
            labels={},
            time_zone="UTC",
            disk_free_bytes=1,
            boot_id="boot",
            agent_version="1.0.0",
            products=(ProductFacts("agent", "1.0.0", "aa" * 32, 0),),
            journal_id="journal-1",
            receipt=None,
            timestamp_version=0,
        )

    async def tell(self, _event: object, _product: str | None = None) -> None:
        await asyncio.sleep(0)

    @property
    def busy(self) -> bool:
        return False

    @property
    def rest_seconds(self) -> float | None:
        return None

    def keeps(self, product: str) -> bool:
        return product == "agent"

    async def acked(self, _journal_id: str, _sequence: int) -> None:
        await asyncio.sleep(0)

    def welcomed(self) -> None:
        self.welcomes += 1

    def heard(self) -> None:
        """Nobody needs to know."""

    def noticed(self, _timestamp_version: int) -> None:
        """Look at nothing."""


@pytest.fixture
def agent(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealAgent:
    """A host whose key is due, and which looks at it several times a second."""
    monkeypatch.setattr(stream, "MAX_HEARTBEAT_SECONDS", 0.05)
    return RealAgent(world, tmp_path / "agent")


async def pending(agent: RealAgent) -> bytes:
    """Wait for the new key on the host's disk."""
    async with asyncio.timeout(20):
        while (key := agent.keys.pending) is None:
            await asyncio.sleep(0.01)
    return key


async def taken_over(agent: RealAgent) -> bytes:
    """Wait until another key than the first one is in force on both sides; return it."""
    async with asyncio.timeout(20):
        while agent.keys.current == agent.disk.seed:
            await asyncio.sleep(0.01)
    await agent.until_key(agent.keys.current)
    return agent.keys.current


async def retired(world: World, seed: bytes) -> bool:
    """Tell whether a hello with ``seed`` would be a fork, without saying one."""
    row = await world.identity("host-1")
    return public_key(seed) not in {row["public_key"], row["next_key"]}


async def test_an_old_key_is_replaced_and_ended(world: World, agent: RealAgent) -> None:
    async with agent.running():
        await taken_over(agent)
        async with asyncio.timeout(20):
            while agent.keys.since is None:
                await asyncio.sleep(0.02)
    assert agent.keys.pending is None
    assert agent.keys.since > 1e9
    assert await retired(world, agent.disk.seed)
    await agent.at_home()


async def test_a_host_with_an_attempt_waits_for_a_quiet_hour(agent: RealAgent) -> None:
    agent.idle = False
    async with agent.running():
        await asyncio.sleep(0.5)
        assert agent.keys.pending is None
        agent.idle = True
        await taken_over(agent)


async def test_one_rotation_is_one_rotation(agent: RealAgent) -> None:
    async with agent.running():
        key = await taken_over(agent)
        await asyncio.sleep(0.5)
    agent.write("key", records.keys_record(replace(agent.keys, since=0.0)))
    async with agent.running():
        await asyncio.sleep(0.5)
    assert agent.keys.current == key, "the wall clock jumped: a day of uptime lies between two new keys"


@pytest.mark.parametrize("lost", ["the proposal", "the answer"])
async def test_a_lost_word_costs_a_hello_and_no_alarm(
    agent: RealAgent, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The stream breaks before, or after, the server held the new key: the new one is tried first, then the old one."""
    wish = Rotation.wish
    cut = EndedError(Ended(End.LOST, message=lost))

    async def unsent(rotation: Rotation, **facts: bool) -> None:
        if await wish(rotation, **facts) is not None:
            raise cut

    def unheard(_rotation: Rotation, _answer: object) -> bool:
        raise cut

    with monkeypatch.context() as patch:
        patch.setattr(*((Rotation, "wish", unsent) if lost == "the proposal" else (Rotation, "heard", unheard)))
        async with agent.running():
            fresh = await pending(agent)
            seen = agent.welcomes
            async with asyncio.timeout(20):
                while agent.welcomes == seen:
                    await asyncio.sleep(0.02)
    async with agent.running():
        await agent.until_key(fresh)
    await agent.at_home()


POINTS = 5
"""Effects of one durable write: create, write, sync of the file, rename, sync of the folder."""


@pytest.mark.parametrize("write", ["the new key", "the ratchet of its hello", "its taking over", "its age"])
@pytest.mark.parametrize("point", range(POINTS))
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_kill_around_every_effect_of_every_write_raises_no_alarm(
    world: World, agent: RealAgent, monkeypatch: pytest.MonkeyPatch, write: str, point: int, when: str
) -> None:
    kill = Kill(agent, write, point, when)
    with monkeypatch.context() as patch:
        kill.plant(patch)
        async with agent.running() as work:
            async with asyncio.timeout(20):
                while not kill.done:
                    await asyncio.sleep(0.01)
            work.cancel()
    async with agent.running():
        key = await taken_over(agent)
    assert await retired(world, agent.disk.seed)
    assert agent.keys.pending is None
    assert agent.keys.current == key
    await agent.at_home()


class Kill:
    """Ends the host's disk at one effect of one write: nothing of its identity is written after it, as after a kill."""

    def __init__(self, agent: RealAgent, write: str, point: int, when: str) -> None:
        self.agent, self.when, self.done = agent, when, False
        self._wanted, self._left = write, point
        self._thread = threading.local()

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        real = IdentityStore._write

        def write(store: IdentityStore, name: str, record: dict[str, Any]) -> None:
            self._thread.inside = self._is_meant(name)
            try:
                if self.done:
                    self._die()
                real(store, name, record)
            finally:
                self._thread.inside = False

        patch.setattr(IdentityStore, "_write", write)
        patch.setattr(effects, "create", self._create(effects.create))
        for name in ("write", "fsync_file", "rename", "fsync_dir"):
            patch.setattr(effects, name, self._wrapped(getattr(effects, name)))

    def _create(self, real: Any) -> Any:
        @contextmanager
        def create(*arguments: Any) -> Iterator[Any]:
            hit = self._hit()
            if hit and self.when == "before":
                self._die()
            with real(*arguments) as handle:
                if hit:
                    self._die()
                yield handle

        return create

    def _wrapped(self, real: Any) -> Any:
        def call(*arguments: Any) -> None:
            hit = self._hit()
            if hit and self.when == "before":
                self._die()
            real(*arguments)
            if hit:
                self._die()

        return call

    def _hit(self) -> bool:
        if self.done or not getattr(self._thread, "inside", False):
            return False
        self._left -= 1
        return self._left < 0

    def _die(self) -> None:
        self.done = True
        raise OSError(5, "the process is gone")

    def _is_meant(self, name: str) -> bool:
        """Tell which write begins, by its file and by what the disk says so far."""
        keys = self.agent.keys
        if name == RATCHET:
            return self._wanted == "the ratchet of its hello" and keys.pending is not None
        if keys.pending is not None:
            return self._wanted == "its taking over"
        return self._wanted == ("the new key" if keys.current == self.agent.disk.seed else "its age")
