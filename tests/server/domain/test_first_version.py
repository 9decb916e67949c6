"""What a host without a version begins with: whatever was tried how often, never what its fleet has stopped."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_server.domain.first_version import Candidate, Standing, Tried, first_version, standing
from fleetroll_server.domain.states import ENDED_ROLLOUT, RolloutState

R = RolloutState
COMPLETED = Tried(R.COMPLETED, 12, 12)
HALTED = Tried(R.HALTED, 1, 0)
GIVEN_UP = Tried(R.CANCELLED, 1, 0)
NOT_BEGUN = Tried(R.CANCELLED, 0, 0)
KILLED = Tried(R.CANCELLED, 0, 0, stood_still=True)
RUNNING = Tried(R.RUNNING, 3, 3)


def candidate(version: str, *tried: Tried) -> Candidate:
    return Candidate(Version.parse(version), tried)


def named(*candidates: Candidate, passed_over: tuple[str, ...] = ()) -> tuple[str, Standing]:
    found = first_version(candidates, [Version.parse(one) for one in passed_over])
    return str(found.version), found.standing


def refused(*candidates: Candidate, passed_over: tuple[str, ...] = ()) -> RequestError:
    with pytest.raises(RequestError) as caught:
        named(*candidates, passed_over=passed_over)
    assert caught.value.code is Code.NO_FIRST_VERSION
    assert 0 < len(caught.value.remedy.encode()) < 128
    return caught.value


def test_two_newer_releases_that_were_halted_and_cancelled_are_not_named() -> None:
    fleet = (
        candidate("1.0.0"),
        candidate("1.1.0", COMPLETED),
        candidate("1.2.0", GIVEN_UP),
        candidate("1.3.0", HALTED),
    )
    for order in permutations(fleet):
        assert named(*order) == ("1.1.0", Standing.PROVED)


def test_a_newer_release_that_nobody_tried_is_not_named_when_an_older_one_is_proved() -> None:
    assert named(candidate("1.1.0", COMPLETED), candidate("2.0.0")) == ("1.1.0", Standing.PROVED)


def test_versions_are_ordered_as_versions() -> None:
    assert named(candidate("1.9.0"), candidate("1.10.0")) == ("1.10.0", Standing.UNTRIED)


def test_while_nothing_is_proved_the_newest_release_that_nothing_speaks_against_is_named() -> None:
    fleet = [candidate("1.0.0"), candidate("1.1.0", NOT_BEGUN), candidate("1.2.0", HALTED), candidate("1.3.0", RUNNING)]
    assert named(*fleet) == ("1.1.0", Standing.UNTRIED)


def test_a_pre_release_in_the_stable_channel_is_named_only_when_a_rollout_completed_it() -> None:
    early = replace(candidate("1.1.0-rc.1"), only_by_name=True)
    assert named(candidate("1.0.0"), early) == ("1.0.0", Standing.UNTRIED)
    assert named(candidate("1.0.0"), replace(early, tried=(COMPLETED,))) == ("1.1.0-rc.1", Standing.PROVED)
    assert "pre-releases only" in refused(early).message


@pytest.mark.parametrize(
    ("tried", "expected"),
    [
        ((), Standing.UNTRIED),
        ((NOT_BEGUN,), Standing.UNTRIED),
        ((COMPLETED,), Standing.PROVED),
        ((COMPLETED, HALTED), Standing.STOPPED),
        ((COMPLETED, GIVEN_UP), Standing.STOPPED),
        ((COMPLETED, NOT_BEGUN), Standing.PROVED),
        ((COMPLETED, RUNNING), Standing.PROVED),
        ((GIVEN_UP, COMPLETED), Standing.PROVED),
        ((GIVEN_UP, NOT_BEGUN), Standing.STOPPED),
        ((GIVEN_UP, RUNNING), Standing.STOPPED),
        ((HALTED, COMPLETED), Standing.STOPPED),
        ((COMPLETED, HALTED, COMPLETED), Standing.STOPPED),
        ((KILLED,), Standing.STOPPED),
        ((COMPLETED, KILLED), Standing.STOPPED),
        ((replace(COMPLETED, stood_still=True),), Standing.PROVED),
        ((RUNNING,), Standing.TRYING),
        ((Tried(R.PAUSED, 2, 0),), Standing.TRYING),
        ((Tried(R.DRAFT, 0, 0),), Standing.TRYING),
        ((Tried(R.ROLLING_BACK, 2, 1),), Standing.STOPPED),
        ((Tried(R.ROLLED_BACK, 2, 0),), Standing.STOPPED),
        ((Tried(R.SUPERSEDED, 2, 2),), Standing.STOPPED),
        ((Tried(R.SUPERSEDED, 0, 0),), Standing.UNTRIED),
        ((Tried(R.COMPLETED, 0, 0),), Standing.UNTRIED),
        ((Tried(R.COMPLETED, 2, 0),), Standing.STOPPED),
        ((replace(COMPLETED, late_bad=1),), Standing.PROVED),
        ((replace(COMPLETED, late_stop=Code.WAVE_NOT_PASSED, late_bad=1),), Standing.STOPPED),
        ((replace(COMPLETED, late_stop=Code.PAUSED),), Standing.STOPPED),
        ((replace(COMPLETED, late_stop=Code.CANCELLED_BY),), Standing.PROVED),
        ((replace(COMPLETED, late_stop=Code.CANCELLED_BY, late_bad=1),), Standing.STOPPED),
        ((replace(COMPLETED, late_stop=Code.WAVE_NOT_PASSED), COMPLETED), Standing.PROVED),
    ],
)
def test_what_rollouts_say_of_a_release(tried: tuple[Tried, ...], expected: Standing) -> None:
    assert standing(tried) is expected


def test_what_does_not_work_on_the_host_gives_way_to_the_next_one_that_is_proved() -> None:
    fleet = (candidate("1.0.0", COMPLETED), candidate("1.1.0", COMPLETED), candidate("1.2.0"))
    assert named(*fleet, passed_over=("1.1.0",)) == ("1.0.0", Standing.PROVED)
    error = refused(*fleet, passed_over=("1.1.0", "1.0.0"))
    assert "2 not working on this host" in error.message


def test_the_refusal_counts_what_is_known() -> None:
    error = refused(candidate("1.0.0", HALTED), candidate("1.1.0", GIVEN_UP), candidate("1.2.0", RUNNING))
    assert "2 stopped, 1 being tried" in error.message


tries = st.builds(
    lambda state, attempted, kept, stood: Tried(state, attempted, min(attempted, kept), stood_still=stood),
    st.sampled_from(list(R)),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
)
fleets = st.lists(
    st.tuples(st.integers(0, 9), st.lists(tries, max_size=4), st.booleans()), max_size=6, unique_by=lambda one: one[0]
).map(lambda rows: [Candidate(Version(1, minor, 0), tuple(tried), alone) for minor, tried, alone in rows])


@given(fleet=fleets, over=st.sets(st.integers(0, 9), max_size=4))
def test_what_is_named_was_completed_or_nothing_was_and_it_is_the_newest_of_its_kind(
    fleet: list[Candidate], over: set[int]
) -> None:
    """The rule in other words than its own: states of rollouts, no standing."""
    passed_over = {Version(1, minor, 0) for minor in over}
    try:
        found = first_version(fleet, passed_over)
    except RequestError as error:
        assert error.code is Code.NO_FIRST_VERSION  # noqa: PT017 (the other outcome is judged below)
        return
    (chosen,) = [one for one in fleet if one.version == found.version]
    assert chosen.version not in passed_over
    assert all(one.state is not R.HALTED for one in chosen.tried)
    completed = [n for n, one in enumerate(chosen.tried) if one.state is R.COMPLETED and one.succeeded]
    stood = [one.attempted or one.stood_still for one in chosen.tried]
    begun = [n for n, one in enumerate(chosen.tried) if one.state in ENDED_ROLLOUT and stood[n]]
    if found.standing is Standing.PROVED:
        assert completed[-1] == begun[-1], "its newest rollout with hosts ended well"
    else:
        assert not any(one.state is R.COMPLETED and one.succeeded for one in chosen.tried)
        assert all(one.state in ENDED_ROLLOUT for one in chosen.tried)
        assert begun == []
        assert not chosen.only_by_name
    rivals = [one for one in fleet if one.version > found.version and one.version not in passed_over]
    allowed = [one for one in rivals if found.standing is Standing.PROVED or not one.only_by_name]
    assert all(standing(one.tried) is not found.standing for one in allowed)


@given(fleet=fleets)
def test_nothing_untried_is_named_where_anything_is_proved(fleet: list[Candidate]) -> None:
    proved = [one.version for one in fleet if standing(one.tried) is Standing.PROVED]
    if proved:
        assert first_version(fleet).version == max(proved)
        everything = refused(*fleet, passed_over=tuple(str(one) for one in proved))
        assert f"{len(proved)} not working on this host" in everything.message
