"""A whole server in this process with enrolled hosts and published releases, and what tests do to it.

Every world works on a copy of the session's stock. Time is a fake clock's; what time brings about is asked for by
:meth:`World.sweep`.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration
from sqlmodel import SQLModel

from fleetroll.v1 import agents_pb2, agents_pb2_grpc, rollouts_pb2, rollouts_pb2_grpc
from fleetroll_agent.identity.ratchet import Ratchet
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.wire.channel import ADMIN_OPTIONS
from fleetroll_server.engine.engine import Engine
from fleetroll_server.lifecycle import Running, running
from fleetroll_server.settings import load_settings
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, BudgetRow, EventRow, RolloutHostRow, SpellRow, table_of
from tests.faults.stocks import FLEET, NEW, ElsewhereFolder, Stock, enroll
from tests.faults.virtual_agent import VirtualAgent
from tests.faults.virtual_disk import PRODUCT, Disk
from tests.faults.world_steering import Steered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

COUNTS = "a test counts"


class World(Steered):
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
        self.readdress()

    async def crash(self) -> None:
        """Start again from the files as they are now, as after a kill: nobody says goodbye, no lease is ended."""
        assert not self._url, "only files are copied"
        copied = self.stock.copy(self.stock.data.with_name(self.stock.data.name + "x"))
        disks = {name: agent.disk.copy() for name, agent in self.agents.items()}
        await self.stop()
        self.stock = copied
        await self.start()
        self.readdress()
        for name, disk in disks.items():
            self.agents[name].disk = disk

    def readdress(self) -> None:
        """Let the hosts find the server where it is now."""
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

    @property
    def channel(self) -> grpc.aio.Channel:
        """Return the administrator's connection."""
        assert self._channel is not None
        return self._channel

    async def sweep(self, seconds: float = 0) -> None:
        """Let time pass with the server accepting hellos all along, then do what it brought about."""
        self.clock.advance(seconds)
        await self.accepted_all_along()
        await self.engine.sweep()

    async def accepted_all_along(self) -> None:
        """Write what the ticks of the time that has passed would have written."""
        table, now = table_of(SpellRow), self.clock.now()
        change = sa.update(table).where(table.c.over.is_(False)).values(ticked_at=now)
        await self.services.store.writer.command(lambda tx: tx.execute(change))

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
        return rollouts_pb2_grpc.RolloutsServiceStub(self.channel)

    @property
    def hosts_stub(self) -> agents_pb2_grpc.AgentsServiceAsyncStub:
        """Return a stub."""
        return agents_pb2_grpc.AgentsServiceStub(self.channel)

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

    async def lift(self, fleet_id: str = FLEET, epoch: int = 0) -> None:
        """Lift it, if it is still at an epoch; 0 for any."""
        request = rollouts_pb2.LiftKillSwitchRequest(fleet_id=fleet_id, reason="it is over", epoch=epoch)
        await self.call(self.rollouts.LiftKillSwitch, request)

    async def pressed(self) -> set[str]:
        """Return the scopes whose kill switch is pressed."""
        answer = await self.call(self.rollouts.GetKillSwitch, rollouts_pb2.GetKillSwitchRequest())
        return {each.scope for each in answer.kill_switches if each.active}

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
        answer = await enroll(self.channel, join, name, seed, ratchet.current, old.agent_id)
        assert answer.agent_id == old.agent_id
        enrolment = (answer.receipt, answer.receipt_mac)
        return replace(old.copy(), seed=seed, ratchet=ratchet, receipt=None, rotations=[], enrolment=enrolment)

    # Rows.

    async def rows(self, model: Any, **where: Any) -> list[dict[str, Any]]:
        """Return rows of a table."""
        table = table_of(model)
        query = sa.select(table).where(*[table.c[name] == value for name, value in where.items()])
        if "fleet_id" in table.c:
            query = every_fleet(query, COUNTS)
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
        change = every_fleet(sa.update(table).where(table.c.scope == scope).values(**values), COUNTS)
        await self.services.store.writer.command(lambda tx: tx.execute(change))

    async def totals(self) -> dict[str, int]:
        """Return the number of rows of every table that a request could have written to."""
        passing = {"server", "spell", "meta", "alembic_version"}
        totals = {}
        async with self.services.store.read() as connection:
            for name, table in SQLModel.metadata.tables.items():
                query = sa.select(sa.func.count()).select_from(table)
                query = every_fleet(query, COUNTS) if "fleet_id" in table.c else query
                if name not in passing:
                    totals[name] = (await connection.execute(query)).scalar_one()
        return totals


async def _no_space(_group: object) -> Any:
    """Fail as a full disk does."""
    raise sa.exc.OperationalError("COMMIT", {}, OSError("database or disk is full"))
