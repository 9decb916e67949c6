"""What hosts show counts in a recovery alone, once, from whoever proves to be the host, and within bounds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.trust.library import Metadata, TargetFile
from fleetroll_common.wire.macs import receipt_mac
from fleetroll_publishing.roles import read_repository, sign_role
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.recovery.shown_files import Verified, followed
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import ArtifactRow, AssignmentRow, ImportedAttemptRow, ReleaseRow, table_of
from fleetroll_server.upkeep.retention import Retention
from tests.faults.lost_time import comes_back, copied, copied_back, end, recovery_of, trusts_newest
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import attempt_state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

FORGED = 2**62
"""A version, or a generation, that nobody gave out."""


async def timestamp(world: World) -> int:
    async with world.services.store.read() as connection:
        files = await current_files(connection)
    return int(Metadata.from_bytes(files["timestamp.json"]).signed.version)


async def digests(world: World) -> list[str]:
    return [row["sha256"] for row in await world.rows(ArtifactRow)]


def outcome(sha256: str, generation: int, state: str = "rolled_back") -> stream_pb2.KeptOutcome:
    shown = stream_pb2.AttemptReport(
        product="agent", generation=generation, state=attempt_state(state), sha256=bytes.fromhex(sha256)
    )
    return stream_pb2.KeptOutcome(attempt=shown)


def shows(agent: VirtualAgent, outcomes: Iterable[stream_pb2.KeptOutcome] = ()) -> None:
    """Let the host show everything, whether it was asked or not."""
    receipt, mac = agent.disk.enrolment or (b"", b"")
    said = agent.payload()
    said.evidence.enrolment_receipt, said.evidence.enrolment_mac = receipt, mac
    for name, data in agent.disk.files.items():
        said.evidence.files.add(name=name, payload=data)
    said.evidence.outcomes.extend(outcomes)
    agent.disk.enrolment = None  # nothing else is added
    agent.payload = lambda: said  # type: ignore[method-assign]


async def went_back(world: World, tmp_path: Path, *names: str) -> None:
    """Lose what hosts did, and let the first of them prove it."""
    copy = await copied(world, tmp_path / "copy")
    await world.online(*names)
    await copied_back(world, copy)


async def test_evidence_without_a_recovery_is_nothing(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    await world.pause(rollout)
    agent = world.agent("host-2")
    shows(agent, [outcome(sha256, number + 1) for number, sha256 in enumerate(await digests(world))])
    agent.payload().products[0].highest_generation = 9
    before = await world.host("host-2")
    await agent.connect()
    assert await world.rows(ImportedAttemptRow) == []
    assert ((await world.host("host-2"))["state"], before["state"]) == ("pending", "pending")


async def test_a_copy_that_is_a_fork_shows_nothing(world: World, tmp_path: Path) -> None:
    await world.online("host-1", "host-2")
    old = world.agent("host-2").disk.copy()
    await world.agent("host-2").connect()
    await world.agent("host-2").connect()
    await went_back(world, tmp_path, "host-1", "host-2")
    await comes_back(world.agent("host-1"))
    copy = world.another(old, "copy")
    copy.disk.highest = 3
    shows(copy, [outcome((await digests(world))[0], 3)])
    assert (await copy.connect()).quarantined
    assert await world.rows(ImportedAttemptRow) == []


async def test_it_counts_once(world: World, tmp_path: Path) -> None:
    await went_back(world, tmp_path, "host-1")
    await comes_back(world.agent("host-1"))
    agent = world.agent("host-1")
    agent.disk.highest = 5
    shows(agent, [outcome((await digests(world))[0], 5)])
    await agent.connect()
    assert await world.rows(ImportedAttemptRow) == []


@pytest.mark.parametrize("shown", [4, FORGED, 2**63 - 1])
async def test_an_outcome_above_what_the_hello_says_is_no_outcome(world: World, tmp_path: Path, shown: int) -> None:
    """One above all that can be is refused whole."""
    await world.online("host-1", "host-2")
    await went_back(world, tmp_path, "host-1", "host-2")
    await comes_back(world.agent("host-1"))
    agent = world.agent("host-2")
    agent.disk.highest = 3
    sha256 = (await digests(world))[0]
    shows(agent, [outcome(sha256, 3, "cancelled"), outcome(sha256, shown, "cancelled")])
    if shown > 2**32:
        with pytest.raises(RefusedError) as caught:
            await agent.connect()
        assert caught.value.code == "INVALID_ARGUMENT"
        assert await world.rows(ImportedAttemptRow) == []
        return
    await agent.connect()
    assert [row["generation"] for row in await world.rows(ImportedAttemptRow)] == [3]


async def test_a_count_that_has_no_room_left_ends_no_rollout(world: World) -> None:
    await world.online("host-1", "host-2")
    first = await world.roll("host-1")
    await world.cancel(first)
    table = table_of(AssignmentRow)
    change = every_fleet(sa.update(table).values(generation=2**63 - 1), "the test breaks it")
    await world.services.store.writer.command(lambda tx: tx.execute(change))
    rollout = await world.roll("host-1", "host-2", limits={"max_concurrent": 2})
    await world.sweep(5)
    assert (await world.host("host-2", rollout))["state"] == "offered"
    await world.cancel(rollout)


async def test_attempts_that_were_taken_over_do_not_stay_for_ever(world: World, tmp_path: Path) -> None:
    await world.online("host-1", "host-2")
    await went_back(world, tmp_path, "host-1", "host-2")
    await comes_back(world.agent("host-1"))
    agent = world.agent("host-2")
    agent.disk.highest = 900
    sha256 = (await digests(world))[0]
    shows(agent, [outcome(sha256, 900 - number) for number in range(190)])
    await agent.connect()
    assert len(await world.rows(ImportedAttemptRow)) == 190
    keeper = Retention(world.services.store, timedelta(days=1), timedelta(days=1))
    await keeper.prune_imported()
    assert len(await world.rows(ImportedAttemptRow)) == 190
    world.clock.advance(2 * 86400)
    await keeper.prune_imported()
    assert await world.rows(ImportedAttemptRow) == []


@pytest.mark.parametrize("lies", [False, True])
async def test_what_a_liar_shows_keeps_nobody_from_being_heard(world: World, tmp_path: Path, *, lies: bool) -> None:
    await world.online("host-1", "host-2")
    copy = await copied(world, tmp_path / "copy")

    async def nothing_else(_tx: object, _after: object) -> None:
        """The files alone."""

    for _ in range(3):
        async with world.services.catalogue.signing:
            await sign_and_commit(
                world.services, lambda old, signers, now: followed(old, signers, now, Verified()), nothing_else
            )
    await world.online("host-1", "host-2")
    for name in ("host-1", "host-2"):
        await trusts_newest(world, world.agent(name))
    seen = await timestamp(world)
    await copied_back(world, copy)
    disk = world.agent("host-1").disk
    for name, data in disk.files.items():
        forged = Metadata.from_bytes(data)
        forged.signed.version = FORGED
        disk.files[name] = forged.to_bytes() if lies else data
    await comes_back(world.agent("host-1"))
    await comes_back(world.agent("host-2"))
    assert await timestamp(world) > seen


async def with_another_role(world: World, agent: VirtualAgent) -> None:
    """Let the host show a list that really is signed: 1.1.0 is gone from it, 6.6.6 is new."""
    await trusts_newest(world, agent)
    async with world.services.store.read() as connection:
        files, signers = await current_files(connection), await load_signers(connection, world.services.secrets)
    role = read_repository(files).product("agent")
    path, target = min(role.targets.items())
    new = {**(target.custom or {}), "version": "6.6.6"}
    fresh = path.replace(f"/{(target.custom or {})['version']}/", "/6.6.6/")
    role.targets[fresh] = TargetFile(7, {"sha256": "6" * 64}, fresh, {"custom": new})
    for gone in [name for name in role.targets if name.startswith("agent/1.1.0/")]:
        del role.targets[gone]
    role.version += 41
    agent.disk.files["products%2Fagent.json"] = sign_role(role, signers.every("products/agent"))


async def versions(world: World) -> set[str]:
    return {row["version"] for row in await world.rows(ReleaseRow)}


async def test_no_list_is_taken_over_without_a_recovery(world: World) -> None:
    agent = (await world.online("host-1"))[0]
    await with_another_role(world, agent)
    shows(agent)
    await agent.connect()
    assert "6.6.6" not in await versions(world)


async def test_a_key_of_nobody_shows_no_files(world: World, tmp_path: Path) -> None:
    await world.online("host-1", "host-2")
    copy = await copied(world, tmp_path / "copy")
    await world.online("host-1", "host-2")
    await with_another_role(world, world.agent("host-2"))
    await copied_back(world, copy)
    await comes_back(world.agent("host-1"))
    thief = world.another(world.agent("host-2").disk.copy(), "thief")
    thief.disk.seed = b"\x13" * 32
    before = await timestamp(world)
    shows(thief)
    with pytest.raises(RefusedError):
        await thief.connect()
    assert await timestamp(world) == before


async def test_a_stolen_server_key_begins_no_recovery_in_the_name_of_a_host(world: World) -> None:
    await world.online("host-1")
    agent, services = world.agent("host-2"), world.services
    agent.disk.seed = b"\x31" * 32
    incarnation, agent_id, epoch = services.incarnation, agent.disk.agent_id, 10**9
    mac = receipt_mac(services.server_key, incarnation, agent_id, epoch)
    agent.disk.receipt = stream_pb2.Receipt(incarnation=incarnation, epoch=epoch, mac=mac)
    with pytest.raises(RefusedError) as caught:
        await agent.connect()
    assert caught.value.code == "IDENTITY_UNKNOWN"
    assert not (await recovery_of(world)).active


async def test_a_host_that_comes_after_the_end_still_has_its_journal_continued(world: World, tmp_path: Path) -> None:
    """It shows nothing that is taken in; but what its journal no longer has is not waited for."""
    await world.online("host-1", "host-2")
    await went_back(world, tmp_path, "host-1", "host-2")
    await comes_back(world.agent("host-1"))
    await end(world, (await recovery_of(world)).hosts_not_seen)
    agent = world.agent("host-2")
    agent.disk.highest = 3
    shows(agent, [outcome((await digests(world))[0], 3)])
    agent.payload().evidence.journal_first = 41
    assert (await agent.connect()).ack.sequence == 40
    assert await world.rows(ImportedAttemptRow) == []
