"""Whoever has the server's certificate can change every byte on its way: none is taken, and nothing changes."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import reasons_pb2, types_pb2
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import target_path
from fleetroll_common.values.version import Version
from tests.attacks.wire import thief
from tests.attacks.wire.meddler import Meddler
from tests.attacks.wire.rules import FLIPS, flip_artefact
from tests.e2e.fleet.releases import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PATH = target_path("agent", Version.parse(GOOD), Platform.current())
HOSTS = ("h1", "h2", "h3", "h4")


class Line:
    """A fleet of which every host has its own meddler on the line."""

    def __init__(self, fleet: Fleet, template: Template, stack: contextlib.ExitStack) -> None:
        self.fleet = fleet
        self.before = template.before
        self.artefact = template.artefacts[GOOD].read_bytes()
        self.now = fleet.records.metadata()
        self.meddlers: dict[str, Meddler] = {}
        for name, host in fleet.hosts.items():
            self.meddlers[name] = stack.enter_context(Meddler(fleet))
            host.aim(self.meddlers[name].address)
            host.start()
        fleet.wait_online()

    def attempt(self, host: Host) -> tuple[str, str, str]:
        """Roll the good release out to one host; return its state, the code and the message."""
        rollout = self.fleet.rollout(GOOD, host.name)
        self.fleet.outcome(rollout)
        attempt = self.fleet.place(rollout, host.name).attempt
        state = types_pb2.AttemptState.Name(attempt.state).removeprefix("ATTEMPT_STATE_")
        return state, reasons_pb2.ReasonCode.Name(attempt.code).removeprefix("REASON_CODE_"), attempt.message

    def promote(self, channel: str) -> None:
        """Let the server sign newer metadata: the good release in another channel beside."""
        words = ("--product", "agent", "--version", GOOD, "--channel", "stable", "--channel", channel, "--reason", "r")
        done = self.fleet.cli("release", "promote", *words)
        assert done.code == 0, done.said

    def refused(self, host: Host, code: str, says: str) -> None:
        """See that the good release is refused with this reason, and that nothing of the host changes."""
        before = host.untouched()
        state, why, message = self.attempt(host)
        assert (state, why) == ("FAILED", code), message
        assert says in message
        assert host.untouched() == before
        last = host.journal()[-1]
        assert (last.said.value, last.code) == ("FAILED", code)
        assert not any(report.step for report in host.journal(last.generation))


@pytest.fixture(scope="module")
def line(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Run a fleet with meddlers."""
    fleet = template.copy(tmp_path_factory.mktemp("trust"), *HOSTS)
    with contextlib.ExitStack() as stack:
        stack.callback(fleet.end)
        fleet.start_server()
        yield Line(fleet, template, stack)


def test_one_flipped_byte_is_refused_with_its_own_reason_and_the_honest_bytes_are_taken(line: Line) -> None:
    """A host that is online has the newest metadata: each time there is something newer to be flipped."""
    host, meddler = line.fleet.hosts["h1"], line.meddlers["h1"]
    for number, (name, (rule, code, says)) in enumerate(FLIPS.items()):
        with meddler.rule(rule):
            line.promote(f"canary-{number}")
            try:
                line.refused(host, code, says)
            except AssertionError as error:
                raise AssertionError(name) from error
    print(f"wire: {len(FLIPS)} flipped bytes refused by a real agent, nothing changed")
    assert line.attempt(host)[0] == "SUCCEEDED"


def test_a_manifest_that_does_not_fit_is_refused_though_the_artefact_is_signed(line: Line) -> None:
    host, meddler = line.fleet.hosts["h2"], line.meddlers["h2"]
    artefact, tar_sha256 = thief.with_other_manifest(line.artefact)
    custom = thief.listed(line.now, PATH)["custom"] | {"tar_sha256": tar_sha256}
    signers = thief.stolen_signers(line.fleet)
    meddler.files = thief.signed_anew(line.before, PATH, artefact, custom, signers)
    meddler.targets = {PATH: artefact}
    host.stop()
    shutil.rmtree(host.state / "trust")  # it has seen the server's newest: the thief's come to it as the first ones
    host.start()
    line.fleet.wait_online()
    line.refused(host, "WRONG_HASH", "manifest")


def test_an_old_repository_is_refused_also_when_the_hosts_own_files_were_cut(line: Line) -> None:
    host, meddler = line.fleet.hosts["h3"], line.meddlers["h3"]
    with meddler.rule(flip_artefact(0.5)):
        line.refused(host, "WRONG_HASH", "")
    meddler.files = line.before
    line.refused(host, "METADATA_ROLLBACK", "timestamp")
    for cut in ((), ("timestamp.json",), ("timestamp.json", "snapshot.json", "products%2Fagent.json")):
        host.stop()
        for name in cut:
            path = host.state / "trust" / name
            path.write_bytes(path.read_bytes()[:20])
        host.start()
        line.fleet.wait_online()
        line.refused(host, "METADATA_ROLLBACK", "")


def test_a_repository_of_a_foreign_root_is_refused(line: Line) -> None:
    host, meddler = line.fleet.hosts["h4"], line.meddlers["h4"]
    entry = thief.listed(line.now, PATH)
    foreign = thief.foreign_repository(PATH, line.artefact, entry["custom"])
    meddler.files = foreign
    line.refused(host, "UNSIGNED", "timestamp")
    meddler.files = {**line.now, "2.root.json": foreign["1.root.json"]}
    line.refused(host, "UNSIGNED", "root")
