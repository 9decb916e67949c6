"""A bad release halts after two hosts of three; one command brings all of them to the version before.

That one is yanked meanwhile: it is on their disks, and needs no listing.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.e2e.fleet.host import wait
from tests.e2e.fleet.releases import DIES_ON_SOME, NO_FROBNICATOR
from tests.e2e.fleet.template import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HOSTS = ("h1", "h2", "h3")
ROLLED_BACK = 32


@pytest.fixture
def fleet(template: Template, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet of three that runs; the release dies on the last of them."""
    fleet = template.copy(tmp_path / "fleet", *HOSTS)
    try:
        fleet.start_server()
        (fleet.hosts["h3"].state / NO_FROBNICATOR).touch()
        for name in HOSTS:
            fleet.hosts[name].start()
        fleet.wait_online(*HOSTS)
        yield fleet
    finally:
        fleet.end()


def runs(host: Host) -> str:
    boot = host.boot()
    return "on trial" if boot["trial"] is not None else str(boot["current"]["version"])


def applied(host: Host) -> Counter[int]:
    """Count how often each attempt was begun on the host, by its own journal."""
    return Counter(report.generation for report in host.journal() if report.step == "self_test")


def test_all_three_are_back_and_nothing_was_applied_twice(fleet: Fleet) -> None:
    begin = time.monotonic()
    rollout = fleet.rollout(DIES_ON_SOME, *HOSTS, batch_size=1)  # within a wave who asks first goes first
    assert fleet.outcome(rollout) == "HALTED"
    shown = fleet.cli("rollout", "show", rollout).said
    assert [runs(fleet.hosts[name]) for name in HOSTS] == [DIES_ON_SOME, DIES_ON_SOME, FIRST], shown
    yanked = fleet.cli("release", "yank", "--product", "agent", "--version", FIRST, "--reason", "an old fault")
    assert yanked.code == 0, yanked.said
    done = fleet.cli("rollout", "roll-back", rollout, "--all", "--reason", "no such device", "--watch")
    assert done.code == ROLLED_BACK, done.said
    assert "leaves out h3: ALREADY_AT_TARGET" in done.said
    for name in HOSTS:
        host = fleet.hosts[name]
        wait(f"{name} is back", lambda host=host: runs(host) == FIRST, 30.0, host.launcher.said)  # type: ignore[misc]
    assert [applied(fleet.hosts[name]) for name in HOSTS] == [{1: 1, 2: 1}, {1: 1, 2: 1}, {1: 1}]
    fleet.wait_online(*HOSTS)
    known = fleet.agents()
    assert {product.current_version for name in HOSTS for product in known[name].products} == {FIRST}
    print(f"roll-back: three hosts back by one command ({time.monotonic() - begin:.0f} s)")
