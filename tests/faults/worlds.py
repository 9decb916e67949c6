"""A whole server in this process with enrolled hosts and published releases, and what tests do to it.

The stock (releases and hosts) is made once for a session; every world works on a copy. Time is a fake clock's; what
time brings about is asked for by :meth:`World.sweep`. The end of each test asks :meth:`World.check`: budgets, claims
and counters must equal a recount from the rows that they stand for.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration
from sqlmodel import SQLModel

from fleetroll.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    releases_pb2,
    releases_pb2_grpc,
    rollouts_pb2,
    rollouts_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
)
from fleetroll_agent.identity.ratchet import Ratchet
from fleetroll_common.buildinfo import STAMP_NAME, BuildInfo, stamp
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.version import Version
from fleetroll_common.wire.channel import ADMIN_OPTIONS
from fleetroll_common.wire.joinstring import JoinString
from fleetroll_common.wire.signing import enroll_bytes, public_key, sign
from fleetroll_publishing.artefact.build import build_artefact
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.domain.budget import scopes_of
from fleetroll_server.domain.charges import Holding, holding
from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState
from fleetroll_server.domain.summary import HostView, WaveCounters, count
from fleetroll_server.engine.engine import Engine
from fleetroll_server.engine.moves import OUT_OF_COUNT
from fleetroll_server.lifecycle import Running, running
from fleetroll_server.settings import load_settings
from fleetroll_server.store.engine import writing_engine
from fleetroll_server.store.tables import (
    AgentRow,
    BudgetRow,
    ChargeRow,
    ClaimRow,
    EventRow,
    RolloutHostRow,
    WaveRow,
    table_of,
)
from tests.faults.virtual_agent import PLATFORM, PRODUCT, Disk, VirtualAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

FLEET = "default"
HOSTS = 8
COUNTED = {"planned", "attempted", "bad", "ended", "waiting", "succeeded", "pending", "downloading"}
"""Counts of a wave that follow from its hosts' rows alone; what people forgave does not."""
OLD, NEW, NEWER = "1.0.0", "1.1.0", "1.2.0"


@dataclass
class Stock:
    """An initialised data folder with releases and enrolled hosts, and what their disks hold."""

    data: Path
    token: str
    digests: dict[str, str] = field(default_factory=dict)
    disks: list[Disk] = field(default_factory=list)

    def copy(self, target: Path) -> Stock:
        """Return a stock of one test's own."""
        shutil.copytree(self.data, target)
        return replace(self, data=target, disks=[disk.copy() for disk in self.disks])


@dataclass(frozen=True, slots=True)
class ElsewhereFolder(DataFolder):
    """A data folder whose database is another one than its file."""

    url: str = ""

    @property
    def database_url(self) -> str:
        """Return the other database."""
        return self.url or f"sqlite+aiosqlite:///{self.database}"


class World:
    """A server, its clock, its hosts, one administrator."""

    def __init__(self, stock: Stock, url: str = "") -> None:
        """Prepare; :meth:`start` starts."""
        self.stock = stock
        self.clock = FakeClock(datetime.now(UTC))
        self.agents: dict[str, VirtualAgent] = {}
        self.left_over: dict[str, tuple[int, int]] = {}
        self._url = url
        self._stack = AsyncExitStack()
        self._running: Running | None = None
        self._engine: Engine | None = None
        self._channel: grpc.aio.Channel | None = None

    # The server.

    async def start(self) -> None:
        """Start the server on the world's folder."""
        folder = ElsewhereFolder(self.stock.data, self._url)
        settings = load_settings(folder.settings, listen="127.0.0.1:0", drain_seconds=0.2)
        self._stack = AsyncExitStack()
        self._running = await self._stack.enter_async_context(running(folder, settings, self.clock, SystemIds()))
        credentials = grpc.ssl_channel_credentials(self.services.ca_pem)
        self._channel = grpc.aio.secure_channel(self.server.address, credentials, options=ADMIN_OPTIONS)
        self._engine = Engine(self.services)

    async def stop(self) -> None:
        """Stop it in good order."""
        for agent in self.agents.values():
            await agent.close()
        if self._channel is not None:
            await self._channel.close()
        await self._stack.aclose()

    async def restart(self) -> None:
        """Stop and start; the hosts' disks stay, their sessions are gone."""
        await self.stop()
        await self.start()
        self._readdress()

    async def crash(self) -> None:
        """Start again from the files as they are now, as after a kill: nobody says goodbye, no lease is ended."""
        assert not self._url, "only files are copied"
        copied = self.stock.copy(self.stock.data.with_name(self.stock.data.name + "x"))
        disks = {name: agent.disk.copy() for name, agent in self.agents.items()}
        await self.stop()
        self.stock = copied
        await self.start()
        self._readdress()
        for name, disk in disks.items():
            self.agents[name].disk = disk

    def _readdress(self) -> None:
        """Let the hosts find the server's new port."""
        for name, agent in list(self.agents.items()):
            self.agents[name] = VirtualAgent(self.server.address, self.services.ca_pem, agent.disk)

    @property
    def server(self) -> Running:
        """Return the running server."""
        assert self._running is not None
        return self._running

    @property
    def services(self) -> Any:
        """Return its shared parts."""
        return self.server.services

    @property
    def engine(self) -> Engine:
        """Return an engine on the same database; its sweeps are the test's."""
        assert self._engine is not None
        return self._engine

    async def sweep(self, seconds: float = 0) -> None:
        """Let time pass, then do what it brought about."""
        self.clock.advance(seconds)
        await self.engine.sweep()

    async def watch(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass with the server sweeping all along."""
        for _ in range(int(seconds / step)):
            await self.sweep(step)

    @asynccontextmanager
    async def broken_disk(self) -> AsyncIterator[None]:
        """Let every COMMIT fail while the block lasts; wait until the server trusts its storage again."""
        writer = self.services.store.writer
        real, writer._transact = writer._transact, _no_space
        try:
            yield
        finally:
            writer._transact = real
            async with asyncio.timeout(10):
                while not writer.healthy:
                    await asyncio.sleep(0.01)

    # Hosts.

    def agent(self, name: str) -> VirtualAgent:
        """Return a host by its name, "host-1" to "host-8", not connected at first."""
        if name not in self.agents:
            disk = next(disk for disk in self.stock.disks if disk.name == name)
            self.agents[name] = VirtualAgent(self.server.address, self.services.ca_pem, disk)
        return self.agents[name]

    def another(self, disk: Disk, name: str) -> VirtualAgent:
        """Return a machine that runs on a copied disk."""
        self.agents[name] = VirtualAgent(self.server.address, self.services.ca_pem, disk)
        return self.agents[name]

    async def online(self, *names: str) -> list[VirtualAgent]:
        """Connect hosts."""
        agents = [self.agent(name) for name in names]
        for agent in agents:
            await agent.connect()
        return agents

    async def drop(self, name: str) -> None:
        """Cut a host's line and wait until the server has written that it is gone."""
        await self.agent(name).cut()
        async with asyncio.timeout(10):
            while (await self.identity(name))["server_id"]:
                await asyncio.sleep(0.01)

    async def staged(self, name: str, version: str = NEW) -> VirtualAgent:
        """Let an online host take its offer, download and stage it."""
        agent = self.agent(name)
        await agent.stage(self.stock.digests[version])
        return agent

    async def on_trial(self, name: str, version: str = NEW) -> VirtualAgent:
        """Let a host that has Go apply and come back as the new version; it is promoted."""
        agent = self.agent(name)
        await agent.report("applying", step="restart", time_limit=Duration(seconds=400))
        await agent.try_out(version, self.stock.digests[version])
        await agent.expect("promote")
        return agent

    async def update(self, name: str, version: str = NEW) -> VirtualAgent:
        """Let an online host go all the way."""
        agent = await self.staged(name, version)
        await agent.granted()
        await self.on_trial(name, version)
        await agent.commit()
        return agent

    async def fail(self, name: str, version: str = NEW, **facts: Any) -> VirtualAgent:
        """Let an online host try the version and come back to the old one by itself."""
        agent = await self.staged(name, version)
        await agent.granted()
        await agent.report("applying", step="restart")
        await agent.back(**facts)
        return agent

    # The administrator.

    async def call(self, method: Any, request: Any) -> Any:
        """Call a method of a stub with the admin's token."""
        return await method(request, metadata=(("authorization", f"Bearer {self.stock.token}"),), timeout=20)

    @property
    def rollouts(self) -> rollouts_pb2_grpc.RolloutsServiceAsyncStub:
        """Return a stub."""
        return rollouts_pb2_grpc.RolloutsServiceStub(self._channel)  # type: ignore[return-value]

    @property
    def hosts_stub(self) -> agents_pb2_grpc.AgentsServiceAsyncStub:
        """Return a stub."""
        return agents_pb2_grpc.AgentsServiceStub(self._channel)  # type: ignore[return-value]

    def order(self, *hosts: str, waves: Sequence[int] = (), **values: Any) -> rollouts_pb2.StartRolloutRequest:
        """Build a request: ``waves`` are counts, 0 is the rest; limits by their names, durations in seconds."""
        limits = values.pop("limits", {})
        for name in ("bake", "soak", "lease", "not_after"):
            if name in limits:
                wait = Duration()
                wait.FromTimedelta(timedelta(seconds=limits[name]))
                limits[name] = wait
        values = {"product": PRODUCT, "version": NEW} | values
        return rollouts_pb2.StartRolloutRequest(
            selection=rollouts_pb2.Selection(fleet_id=FLEET, hosts=hosts),
            waves=[rollouts_pb2.WaveSpec(count=n) if n else rollouts_pb2.WaveSpec(rest=True) for n in waves],
            limits=rollouts_pb2.RolloutLimits(**limits),
            **values,
        )

    async def roll(self, *hosts: str, waves: Sequence[int] = (), **values: Any) -> str:
        """Start a rollout to these hosts; return its id."""
        answer = await self.call(self.rollouts.StartRollout, self.order(*hosts, waves=waves, **values))
        return str(answer.rollout.id)

    async def show(self, rollout_id: str) -> rollouts_pb2.Rollout:
        """Return a rollout as it is shown."""
        request = rollouts_pb2.GetRolloutRequest(rollout_id=rollout_id)
        shown: rollouts_pb2.Rollout = (await self.call(self.rollouts.GetRollout, request)).rollout
        return shown

    async def state(self, rollout_id: str) -> str:
        """Return a rollout's state by its name."""
        return rollouts_pb2.RolloutState.Name((await self.show(rollout_id)).state).removeprefix("ROLLOUT_STATE_")

    async def waves(self, rollout_id: str) -> list[str]:
        """Return its waves' states."""
        shown = await self.show(rollout_id)
        return [rollouts_pb2.WaveState.Name(wave.state).removeprefix("WAVE_STATE_") for wave in shown.waves]

    async def pause(self, rollout_id: str) -> None:
        """Pause it."""
        await self.call(self.rollouts.PauseRollout, rollouts_pb2.PauseRolloutRequest(rollout_id=rollout_id))

    async def resume(self, rollout_id: str, revision: int | None = None) -> None:
        """Resume it, on what is shown now."""
        shown = await self.show(rollout_id)
        await self.call(
            self.rollouts.ResumeRollout,
            rollouts_pb2.ResumeRolloutRequest(
                rollout_id=rollout_id, decision_revision=shown.decision_revision if revision is None else revision
            ),
        )

    async def advance(self, rollout_id: str, revision: int | None = None) -> None:
        """Open the wave that waits, on what is shown now."""
        shown = await self.show(rollout_id)
        await self.call(
            self.rollouts.AdvanceRollout,
            rollouts_pb2.AdvanceRolloutRequest(
                rollout_id=rollout_id, decision_revision=shown.decision_revision if revision is None else revision
            ),
        )

    async def cancel(self, rollout_id: str, *, let_finish: bool = False) -> None:
        """Cancel it."""
        request = rollouts_pb2.CancelRolloutRequest(rollout_id=rollout_id, reason="wrong one", let_finish=let_finish)
        await self.call(self.rollouts.CancelRollout, request)

    async def press(self, fleet_id: str = FLEET) -> rollouts_pb2.KillSwitch:
        """Press the kill switch."""
        request = rollouts_pb2.PressKillSwitchRequest(fleet_id=fleet_id, reason="stop everything")
        switch: rollouts_pb2.KillSwitch = (await self.call(self.rollouts.PressKillSwitch, request)).kill_switch
        return switch

    async def lift(self, fleet_id: str = FLEET) -> None:
        """Lift it."""
        request = rollouts_pb2.LiftKillSwitchRequest(fleet_id=fleet_id, reason="it is over")
        await self.call(self.rollouts.LiftKillSwitch, request)

    async def revoke(self, name: str) -> None:
        """Revoke a host's identity."""
        request = agents_pb2.RevokeAgentRequest(agent_id=self.agent(name).disk.agent_id, reason="stolen")
        await self.call(self.hosts_stub.RevokeAgent, request)

    async def readmit(self, name: str, seed: bytes) -> Disk:
        """Readmit the host ``name`` under a new key, as its local root does; return the right host's disk."""
        old = self.agent(name).disk
        request = agents_pb2.ReadmitAgentRequest(agent_id=old.agent_id, reason="the right host")
        join = (await self.call(self.hosts_stub.ReadmitAgent, request)).join_string
        ratchet = Ratchet(current=SystemIds().token(32), next=SystemIds().token(32))
        assert self._channel is not None
        answer = await enroll(self._channel, join, name, seed, ratchet.current)
        assert answer.agent_id == old.agent_id
        return replace(old.copy(), seed=seed, ratchet=ratchet, receipt=None)

    # Rows.

    async def rows(self, model: Any, **where: Any) -> list[dict[str, Any]]:
        """Return rows of a table."""
        table = table_of(model)
        query = sa.select(table).where(*[table.c[name] == value for name, value in where.items()])
        if "fleet_id" in table.c:
            query = query.where(table.c.fleet_id.is_not(None))
        async with self.services.store.read() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def host(self, name: str, rollout_id: str = "") -> dict[str, Any]:
        """Return a host's row in its newest rollout, or in this one."""
        found = await self.rows(RolloutHostRow, name=name, **({"rollout_id": rollout_id} if rollout_id else {}))
        return max(found, key=lambda row: row["generation"] or 0)

    async def states(self, *names: str) -> list[str]:
        """Return hosts' states."""
        return [(await self.host(name))["state"] for name in names]

    async def identity(self, name: str) -> dict[str, Any]:
        """Return a host's row in the inventory."""
        (row,) = await self.rows(AgentRow, id=self.agent(name).disk.agent_id)
        return row

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the facts of one kind, oldest first."""
        return sorted(await self.rows(EventRow, kind=kind), key=lambda row: row["sequence"])

    async def budget(self, scope: str) -> tuple[int, int]:
        """Return how many hosts are in use and broken in a scope ("rollout/" stands for the only rollout)."""
        rows = [row for row in await self.rows(BudgetRow) if row["scope"].startswith(scope)]
        assert len(rows) == 1, scope
        return rows[0]["in_use"], rows[0]["broken"]

    async def set_budget(self, scope: str, **values: int) -> None:
        """Change the limits of a scope."""
        table = table_of(BudgetRow)
        change = sa.update(table).where(table.c.scope == scope, table.c.fleet_id.is_not(None)).values(**values)
        await self.services.store.writer.command(lambda tx: tx.execute(change))

    async def totals(self) -> dict[str, int]:
        """Return the number of rows of every table that a request could have written to."""
        passing = {"server", "meta", "alembic_version"}
        totals = {}
        async with self.services.store.read() as connection:
            for name, table in SQLModel.metadata.tables.items():
                query = sa.select(sa.func.count()).select_from(table)
                query = query.where(table.c.fleet_id.is_not(None)) if "fleet_id" in table.c else query
                if name not in passing:
                    totals[name] = (await connection.execute(query)).scalar_one()
        return totals

    # What holds at the end of every test.

    async def check(self) -> None:
        """Compare budgets, claims and counters with a recount; nothing is held but what the test says."""
        hosts = await self.rows(RolloutHostRow)
        await self._check_budgets(hosts)
        await self._check_claims(hosts)
        for wave in await self.rows(WaveRow):
            mine = [row for row in hosts if (row["rollout_id"], row["wave"]) == (wave["rollout_id"], wave["number"])]
            stored, counted = WaveCounters.from_json(wave["counters"]), count(_view(row) for row in mine)
            names = [name.name for name in fields(stored) if name.name in COUNTED]
            assert [getattr(stored, name) for name in names] == [getattr(counted, name) for name in names], names
        for row in hosts:
            assert row["state"] not in FINAL or row["deadline"] is None, "what ended has no deadline"

    async def _check_budgets(self, hosts: list[dict[str, Any]]) -> None:
        """Budget rows equal the charges; charges are what the hosts' states hold; nothing else is left over."""
        charges = await self.rows(ChargeRow)
        for row in await self.rows(BudgetRow):
            kinds = [charge["kind"] for charge in charges if charge["scope"] == row["scope"]]
            assert (row["in_use"], row["broken"]) == (kinds.count("in_use"), kinds.count("broken")), row["scope"]
            kind = row["scope"].partition("/")[0]
            held = (row["in_use"], row["broken"])
            assert held == self.left_over.get(row["scope"], self.left_over.get(kind, (0, 0))), (row["scope"], held)
        for row in hosts:
            own = {
                charge["scope"]: charge["kind"]
                for charge in charges
                if (charge["agent_id"], charge["generation"]) == (row["agent_id"], row["generation"])
            }
            wanted = holding(AttemptState(row["state"]), attempted=row["attempted"])
            wide = scopes_of(row["fleet_id"], row["rollout_id"])[:2]
            assert [own.get(scope) == "in_use" for scope in wide] == [wanted is Holding.IN_USE] * 2, row["name"]

    async def _check_claims(self, hosts: list[dict[str, Any]]) -> None:
        """A claim runs from OFFERED to the end."""
        open_states = {state.value for state in AttemptState} - FINAL - {AttemptState.PENDING.value}
        wanted = {(row["agent_id"], row["rollout_id"]) for row in hosts if row["state"] in open_states}
        assert {(row["agent_id"], row["rollout_id"]) for row in await self.rows(ClaimRow)} == wanted


async def _no_space(_group: object) -> Any:
    """Fail as a full disk does."""
    raise sa.exc.OperationalError("COMMIT", {}, OSError("database or disk is full"))


def _view(row: dict[str, Any]) -> HostView:
    """Return a host as its wave counts it."""
    state = AttemptState(row["state"])
    waiting = row["waiting"] in OUT_OF_COUNT and state in BEFORE_GO
    return HostView(state, waiting, row["attempted"])


# Making the stock.


async def stock_up(data: Path, token: str, spare: Path) -> Stock:
    """Publish two releases into an initialised folder and enrol hosts."""
    world = World(Stock(data, token))
    await world.start()
    try:
        channel = world._channel
        assert channel is not None
        for version in (NEW, NEWER):
            world.stock.digests[version] = await _publish(world, version, spare / version)
        stub: Any = tokens_pb2_grpc.TokensServiceStub(channel)
        join = await world.call(stub.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest(max_uses=HOSTS))
        for number in range(1, HOSTS + 1):
            seed, name = bytes([number]) * 32, f"host-{number}"
            ratchet = Ratchet(current=SystemIds().token(32), next=SystemIds().token(32))
            answer = await enroll(channel, join.join_string, name, seed, ratchet.current)
            world.stock.disks.append(Disk(answer.agent_id, seed, ratchet, name))
    finally:
        await world.stop()
    return world.stock


async def enroll(
    channel: grpc.aio.Channel, join_string: str, name: str, seed: bytes, ratchet: bytes
) -> enrolment_pb2.EnrollResponse:
    """Enrol one host."""
    join, key = JoinString.decode(join_string), public_key(seed)
    request = enrolment_pb2.EnrollRequest(
        token=join.token,
        public_key=key,
        signature=sign(seed, enroll_bytes(join.token, key)),
        host_name=name,
        platform=PLATFORM,
        root_sha256=join.root_sha256,
        ratchet=ratchet,
    )
    stub: Any = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
    answer: enrolment_pb2.EnrollResponse = await stub.Enroll(request, timeout=20)
    return answer


async def _publish(world: World, version: str, tree: Path) -> str:
    """Publish a tiny artefact; return its hash."""
    (tree / "fleetroll_common").mkdir(parents=True)
    (tree / "entry.py").write_text("print('hello')\n")
    info = BuildInfo(Version.parse(version), "abcdef0", datetime(2026, 1, 1, tzinfo=UTC))
    (tree / "fleetroll_common" / STAMP_NAME).write_bytes(stamp(info))
    built = await asyncio.to_thread(build_artefact, tree, tree.with_suffix(".tar.zst"), entry_point="entry.py", level=1)
    data = built.path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == built.artefact_sha256
    head = releases_pb2.PublishHeader(
        product=PRODUCT,
        version=version,
        channels=["stable"],
        platform=PLATFORM,
        git_sha="abcdef0",
        sha256=bytes.fromhex(built.artefact_sha256),
        length=len(data),
    )
    messages = [releases_pb2.PublishReleaseRequest(header=head), releases_pb2.PublishReleaseRequest(chunk=data)]
    stub: Any = releases_pb2_grpc.ReleasesServiceStub(world._channel)
    await world.call(stub.PublishRelease, messages)
    return built.artefact_sha256


async def move_in(stock: Stock, url: str) -> None:
    """Copy every row of a stock's file into another migrated database."""
    source, target = writing_engine(f"sqlite+aiosqlite:///{stock.data / 'fleetroll.db'}"), writing_engine(url)
    try:
        async with source.connect() as reading, target.begin() as writing:
            for table in SQLModel.metadata.sorted_tables:
                await _copy_table(table, reading, writing)
    finally:
        await source.dispose()
        await target.dispose()


async def _copy_table(table: sa.Table, reading: AsyncConnection, writing: AsyncConnection) -> None:
    """Replace the rows of one table."""
    rows = [dict(row) for row in (await reading.execute(sa.select(table))).mappings()]
    await writing.execute(sa.delete(table))
    if rows:
        await writing.execute(sa.insert(table), rows)
