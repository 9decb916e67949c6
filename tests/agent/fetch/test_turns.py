"""Several sources of one target: who is asked when, what is kept, and who is blamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.fetch import Liars, SourcesInTurn, is_transient
from fleetroll_agent.fetch.choice import MAX_TARGETS
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.errors import AgentError, RequestError, TrustError
from tests.faults.sources import DATA, Source, Target, beside, fetch, interrupted

if TYPE_CHECKING:
    from pathlib import Path

WRONG = bytes(len(DATA))


def lying(name: str = "liar") -> Source:
    return Source(data=WRONG, name=name)


async def test_mirrors_are_asked_in_their_order_and_the_server_only_when_they_fail(dest: Path) -> None:
    """The first source that has the bytes spares all the others."""
    first, second, own = Source(fail_at=0, name="first"), Source(name="second"), Source()
    await fetch(SourcesInTurn([first, second], own), dest)
    assert (first.offsets, second.offsets, own.offsets) == ([0], [0], [])
    assert beside(dest) == {dest.name}


async def test_the_next_source_goes_on_at_the_byte_where_the_last_one_failed(dest: Path) -> None:
    """What came is kept: a mirror that breaks costs no byte twice."""
    first, second, own = Source(fail_at=3000), Source(fail_at=7000, name="second"), Source()
    await fetch(SourcesInTurn([first, second], own), dest)
    assert (first.offsets, second.offsets, own.offsets) == ([0], [3000], [7000])
    assert first.sent + second.sent + own.sent == len(DATA)
    assert dest.read_bytes() == DATA


async def test_a_source_that_stalls_is_passed_over_and_its_silence_is_not_held_against_the_next(dest: Path) -> None:
    """Each source has its own stall limit."""
    clock = FakeClock()
    stalling = Source(clock=clock, seconds_per_piece=30.0)
    own = Source(clock=clock, seconds_per_piece=29.0, piece=6000)
    await fetch(SourcesInTurn([stalling], own), dest, clock)
    assert own.offsets == [0]
    assert dest.read_bytes() == DATA


async def test_a_source_that_is_too_slow_is_passed_over_and_the_next_has_a_minute_of_its_own(dest: Path) -> None:
    """Each source has its own window."""
    clock = FakeClock()
    slow = Source(clock=clock, seconds_per_piece=10.0, piece=10, name="slow")
    own = Source(clock=clock, seconds_per_piece=29.0, piece=6000)
    await fetch(SourcesInTurn([slow], own), dest, clock)
    assert own.offsets == [50]


async def test_every_failure_is_named_when_all_sources_fail(dest: Path) -> None:
    """A person sees which mirror did what, and the part stays for the next try."""
    with pytest.raises(AgentError) as caught:
        await fetch(SourcesInTurn([Source(fail_at=2000, name="https://m/{path}")], Source(fail_at=5000)), dest)
    assert caught.value.code == "DOWNLOAD_FAILED"
    assert is_transient(caught.value)
    assert caught.value.details["reason"] == "https://m/{path}: connection lost; the server: connection lost"
    assert caught.value.details["received_bytes"] == "5000"
    assert beside(dest) == {f"{dest.name}.part", f"{dest.name}.note"}


async def test_nobody_is_asked_after_the_overall_limit(dest: Path) -> None:
    """The limit is the call's, however many sources there are."""
    clock = FakeClock()
    slow, own = Source(clock=clock, seconds_per_piece=20.0, piece=100), Source()
    with pytest.raises(AgentError) as caught:
        await fetch(SourcesInTurn([slow], own), dest, clock, base_seconds=30.0)
    assert caught.value.details["reason"] == "a mirror: it took longer than 30 s"
    assert own.offsets == []


async def test_a_mirror_that_lies_is_replaced_from_the_first_byte_on(dest: Path) -> None:
    """Wrong bytes are thrown away, and the next source is asked for all of them."""
    liar, own = lying(), Source()
    await fetch(SourcesInTurn([liar], own), dest)
    assert (liar.offsets, own.offsets) == ([0], [0])
    assert dest.read_bytes() == DATA


async def test_a_mirror_that_sends_too_much_is_replaced_too(dest: Path) -> None:
    """More bytes than signed are a lie as well."""
    flood, own = Source(data=DATA * 2, piece=4096), Source()
    await fetch(SourcesInTurn([flood], own), dest)
    assert own.offsets == [0]


async def test_bytes_of_a_mirror_that_failed_do_not_spoil_those_of_the_next_source(dest: Path) -> None:
    """A source is not blamed for what another one sent: all of it is fetched from it alone first."""
    liar, own = Source(data=WRONG, fail_at=4000), Source()
    await fetch(SourcesInTurn([liar], own), dest)
    assert own.offsets == [4000, 0]
    assert dest.read_bytes() == DATA


async def test_a_liar_is_blamed_in_the_error_and_not_asked_again_for_this_target(dest: Path) -> None:
    """The next try spares the mirror that is known to lie."""
    liars, liar, own = Liars(), lying(), Source(fail_at=4000)
    with pytest.raises(AgentError) as caught:
        await fetch(SourcesInTurn([liar], own, liars), dest)
    assert caught.value.code == "DOWNLOAD_FAILED"
    assert caught.value.details["blamed"] == "liar"
    assert "liar: the bytes have not the signed hash; the server: connection lost" in str(caught.value)
    again = Source()
    await fetch(SourcesInTurn([liar], again, liars), dest)
    assert (liar.offsets, again.offsets) == ([0], [4000])


async def test_only_the_last_liar_ends_the_download_for_good(dest: Path) -> None:
    """WRONG_HASH is permanent: nobody is left who might have the signed bytes."""
    with pytest.raises(TrustError) as caught:
        await fetch(SourcesInTurn([lying("first"), lying("second")], Source(data=WRONG)), dest)
    assert caught.value.code == "WRONG_HASH"
    assert not is_transient(caught.value)
    assert caught.value.details["blamed"] == "first, second, the server"
    assert beside(dest) == set()


async def test_a_server_that_fails_after_a_mirror_lied_may_be_asked_again(dest: Path) -> None:
    """The lie of a mirror says nothing about the server."""
    with pytest.raises(AgentError) as caught:
        await fetch(SourcesInTurn([lying()], Source(fail_at=0)), dest)
    assert is_transient(caught.value)


async def test_a_person_who_tries_again_after_a_wrong_hash_asks_everybody_again(dest: Path) -> None:
    """A mirror may have been mended since: the memory of liars ends with the download."""
    liars = Liars()
    with pytest.raises(TrustError):
        await fetch(SourcesInTurn([lying()], Source(data=WRONG), liars), dest)
    mended = Source(name="liar")
    await fetch(SourcesInTurn([mended], Source(), liars), dest)
    assert mended.offsets == [0]


async def test_the_memory_of_liars_ends_when_the_target_is_there(dest: Path) -> None:
    """A target that was fetched needs no memory of who has not got it."""
    liars = Liars()
    await fetch(SourcesInTurn([lying()], Source(), liars), dest)
    assert liars.of(Target()) == frozenset()


async def test_mirrors_alone_are_enough(dest: Path) -> None:
    """A host without a server may have its artefacts from a mirror."""
    await fetch(SourcesInTurn([Source(fail_at=0), Source(name="second")]), dest)
    assert dest.read_bytes() == DATA


async def test_the_only_source_is_asked_even_when_it_lied_before(dest: Path) -> None:
    """Nobody is worse than a liar that may have been mended; the hash decides anyway."""
    liars = Liars()
    liars.blame(Target(), "a mirror")
    await fetch(SourcesInTurn([Source()], liars=liars), dest)
    assert dest.read_bytes() == DATA


def test_no_source_at_all_is_refused() -> None:
    """A configuration without any source is a mistake, and is called one."""
    with pytest.raises(RequestError) as caught:
        SourcesInTurn()
    assert caught.value.code == "INVALID_ARGUMENT"


def test_liars_are_remembered_for_a_bounded_number_of_targets() -> None:
    """Attempts that never ended must not fill the memory of a process that runs for years."""
    liars = Liars()
    targets = [Target(sha256=f"{number:064x}") for number in range(MAX_TARGETS + 1)]
    for target in targets:
        liars.blame(target, "liar")
    assert liars.of(targets[0]) == frozenset()
    assert all(liars.of(target) == {"liar"} for target in targets[1:])


async def test_the_wrong_part_of_an_earlier_call_is_not_blamed_on_a_mirror(dest: Path) -> None:
    """After a power cut the first mirror is asked once more for all of it, and is right."""
    await interrupted(dest, 4000)
    dest.with_name(f"{dest.name}.part").write_bytes(bytes(4000))
    mirror, own = Source(), Source()
    await fetch(SourcesInTurn([mirror], own), dest)
    assert (mirror.offsets, own.offsets) == ([4000, 0], [])
