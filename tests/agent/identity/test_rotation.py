"""When a key is replaced: by its age, in a quiet hour, and never in a storm."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.identity.ratchet import Began, Keys, on_key_welcomed, propose
from fleetroll_agent.identity.rotation import DAY_SECONDS, Circumstances, Step, due

OLD, NEW = b"o" * 32, b"n" * 32
NOW = Circumstances(
    unix_seconds=1_800_000_000.0,
    boot_seconds=10 * DAY_SECONDS,
    boot_id="boot",
    agreed=True,
    idle=True,
    proposed_at=None,
    rotate_after_seconds=180 * DAY_SECONDS,
)


def aged(days: float, **more: object) -> Keys:
    return replace(Keys(OLD, since=NOW.unix_seconds - days * DAY_SECONDS), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("days", "step"), [(0, Step.NOTHING), (179.9, Step.NOTHING), (180, Step.PROPOSE)])
def test_a_key_is_replaced_at_its_age(days: float, step: Step) -> None:
    assert due(aged(days), NOW) is step


@pytest.mark.parametrize("keys", [aged(200), Keys(OLD), Keys(OLD, NEW)])
@pytest.mark.parametrize("hindrance", [{"agreed": False}, {"idle": False}])
def test_nothing_happens_during_an_attempt_or_when_the_clocks_differ(keys: Keys, hindrance: dict[str, bool]) -> None:
    assert due(keys, replace(NOW, **hindrance)) is Step.NOTHING  # type: ignore[arg-type]


def test_a_key_of_unknown_age_is_as_old_as_today() -> None:
    """Else a whole fleet would rotate on the day on which its agents learn to."""
    assert due(Keys(OLD), NOW) is Step.STAMP


def test_an_age_that_lies_ahead_is_written_anew() -> None:
    assert due(aged(-1), NOW) is Step.STAMP
    assert due(aged(-1 / 1440), NOW) is Step.NOTHING


@pytest.mark.parametrize("days", [0, 500])
def test_a_rotation_that_began_is_finished(days: float) -> None:
    began = Began("boot", NOW.boot_seconds - 60)
    assert due(aged(days, pending=NEW, began=began), NOW) is Step.PROPOSE


def test_a_process_proposes_once_a_day() -> None:
    keys = aged(500, pending=NEW)
    assert due(keys, replace(NOW, proposed_at=NOW.boot_seconds - DAY_SECONDS + 1)) is Step.NOTHING
    assert due(keys, replace(NOW, proposed_at=NOW.boot_seconds - DAY_SECONDS)) is Step.PROPOSE


def test_within_a_boot_a_day_lies_between_two_new_keys_whatever_the_wall_clock_says() -> None:
    keys = aged(500, began=Began("boot", NOW.boot_seconds - DAY_SECONDS + 1))
    assert due(keys, NOW) is Step.NOTHING
    assert due(keys, replace(NOW, boot_seconds=NOW.boot_seconds + 1)) is Step.PROPOSE
    assert due(keys, replace(NOW, boot_id="another")) is Step.PROPOSE


def test_a_key_that_just_took_over_gets_its_age_at_once() -> None:
    keys = on_key_welcomed(propose(aged(500), NEW, Began("boot", NOW.boot_seconds)))
    assert (keys.current, keys.since) == (NEW, None)
    assert due(keys, replace(NOW, proposed_at=NOW.boot_seconds)) is Step.STAMP


@given(st.lists(st.tuples(st.floats(0, 7200), st.floats(-1e9, 1e9)), max_size=60))
def test_a_clock_that_jumps_makes_no_storm(jumps: list[tuple[float, float]]) -> None:
    """Every host and its server jump as they like, hour by hour: a day of uptime has one new key."""
    keys, now, made = Keys(OLD), NOW, []
    for passed, jump in jumps:
        boot_seconds = now.boot_seconds + passed
        now = replace(now, boot_seconds=boot_seconds, unix_seconds=max(0.0, now.unix_seconds + passed + jump))
        step = due(keys, now)
        if step is Step.STAMP:
            keys = replace(keys, since=now.unix_seconds)
        elif step is Step.PROPOSE:
            made.append(boot_seconds)
            keys = on_key_welcomed(propose(keys, NEW, Began("boot", boot_seconds)))
    assert all(later - earlier >= DAY_SECONDS for earlier, later in pairwise(made))
