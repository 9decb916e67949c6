"""What the demonstration shows, step by step, and the proof of each step."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tools.demo.fleet import HOSTS, NEWCOMER, Fleet
from tools.demo.journals import hosts_given_go, hosts_past_go, last_word, running_artefacts, slots_of
from tools.demo.processes import run
from tools.demo.sources import DIES_AT_START, DIES_IN_SOAK, DemoError, Mistake, copy_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SOAK = "3s"
LEASE = "40s"
HALTED = 30
ROLLOUT_SECONDS = 120.0
GOOD = "1.1.0"


@dataclass(frozen=True)
class Told:
    """One rollout as it went.

    Attributes:
        version: what was rolled out.
        outcome: state of the rollout at the end.
        seconds: from start to outcome.
        why: the reason of the outcome, in words.
        canary: the host that went back; empty for a good release.
        canary_code: why it went back.
        canary_message: the same in words, as the host's launcher saw it.
        canary_output: the last line of the program that did not live.
        given_go: hosts whose own log says that a Go came, used or not.
        past_go: hosts whose own journal says that they used a Go.
    """

    version: str
    outcome: str
    seconds: float
    why: str
    canary: str
    canary_code: str
    canary_message: str
    canary_output: str
    given_go: tuple[str, ...]
    past_go: tuple[str, ...]


class Story:
    """Tells the story on one fleet; says aloud what happens."""

    def __init__(self, fleet: Fleet, root: Path) -> None:
        """Take the fleet and the source tree that releases are built from."""
        self._fleet = fleet
        self._root = root
        self._artefacts: dict[str, Path] = {}
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        """Print one line with the time since the start."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {line}", flush=True)

    def tell(self) -> list[Told]:
        """Tell it; return how the rollouts went.

        Raises:
            DemoError: something did not happen as promised.
        """
        self._build_all()
        self.say("starting a server: its own CA, signed release repository, SQLite, one TLS port")
        self._fleet.start_server()
        self._publish("1.0.0")
        self.say(f"enrolling {len(HOSTS)} hosts: each makes its key, verifies 1.0.0 against the root, installs it")
        self._fleet.enroll(HOSTS)
        self._fleet.wait_online()
        self.say(f"{len(HOSTS)} hosts are online on 1.0.0")
        told = [self._roll_out(GOOD, "1,3,rest", good=True)]
        self._check_all_run(GOOD)
        told.append(self._roll_out("1.2.0", f"{HOSTS[0]},3,rest", good=False))
        told.append(self._roll_out("1.3.0", f"{HOSTS[6]},3,rest", good=False))
        self._check_all_run(GOOD)
        self._take_in_a_newcomer()
        told = [self._counted(one) for one in told]
        check(told)
        return told

    def _build_all(self) -> None:
        """Build four releases; the two bad ones from sources with a mistake in them."""
        self.say("building the agent: 1.0.0, 1.1.0, and 1.2.0 and 1.3.0 from sources with a mistake in them")
        mistakes: dict[str, tuple[Mistake, ...]] = {
            "1.0.0": (),
            "1.1.0": (),
            "1.2.0": (DIES_AT_START,),
            "1.3.0": (DIES_IN_SOAK,),
        }
        with ThreadPoolExecutor(max_workers=2) as pool:
            self._artefacts.update(zip(mistakes, pool.map(self._build, mistakes, mistakes.values()), strict=True))
        if len({self._sha256(version) for version in mistakes}) != len(mistakes):
            raise DemoError("two releases are the same bytes")

    def _build(self, version: str, made: tuple[Mistake, ...]) -> Path:
        """Build one release from a copy of the source with these mistakes in it."""
        return self._fleet.build(version, copy_source(self._root, self._fleet.folder / "sources" / version, made))

    def _publish(self, version: str) -> None:
        """Publish a release."""
        self._fleet.publish(self._artefacts[version])
        self.say(f"published {version}, sha256 {self._sha256(version)[:12]}…, signed by the product's key")

    def _roll_out(self, version: str, waves: str, *, good: bool) -> Told:
        """Publish and roll out; watch it live to its outcome; end a halted rollout."""
        self._publish(version)
        self.say(f"rolling out {version} in waves {waves}; soak {SOAK}; halts at the first failure")
        began = time.monotonic()
        options = ("--waves", waves, "--max-concurrent", "4", "--soak", SOAK, "--lease", LEASE, "--reason", "demo")
        command = ("fleetroll", "rollout", "start", "--version", version, *options, "--watch")
        run(*command, seconds=ROLLOUT_SECONDS, codes=(0 if good else HALTED,), stdout=sys.stdout.buffer)
        rollout = self._newest()
        told = self._told(version, rollout, time.monotonic() - began)
        if not good:
            self._wait_for_the_way_back(version)
            told = self._told(version, rollout, told.seconds)
            self.say(f"{version} is stopped: {told.canary} went back to {GOOD} by itself ({told.canary_code})")
            run("fleetroll", "rollout", "cancel", rollout["id"], "--reason", "bad release")
        return told

    def _take_in_a_newcomer(self) -> None:
        """Enrol one more host now that the two newest releases were stopped: it begins with the one that was proved."""
        self.say(f"{NEWCOMER} enrols while 1.2.0 and 1.3.0 are the newest listed releases")
        (said,) = self._fleet.enroll([NEWCOMER])
        self.say(f"{NEWCOMER}: {said.partition('; start it')[0]}")
        self._fleet.wait_online(len(HOSTS) + 1)
        self._check_all_run(GOOD, (*HOSTS, NEWCOMER))
        if (slots := slots_of(self._fleet.hosts / NEWCOMER)) != [GOOD]:
            raise DemoError(f"{NEWCOMER} has installed something else: {slots}")
        self.say(f"{NEWCOMER} is online on {GOOD}; it never had another version")

    def _newest(self) -> dict[str, str]:
        """Return the newest rollout."""
        answer = json.loads(run("fleetroll", "rollout", "list", "--json"))
        newest: dict[str, str] = answer["rollouts"][0]
        return newest

    def _told(self, version: str, rollout: dict[str, str], seconds: float) -> Told:
        """Gather what is known of a rollout."""
        shown = self._fleet.rollout(rollout["id"])
        hosts = self._fleet.rollout_hosts(rollout["id"])
        back = next((host for host in hosts if host["attempt"]["state"] == "ATTEMPT_STATE_ROLLED_BACK"), None)
        attempt = back["attempt"] if back else {"code": "", "message": "", "output_tail": ""}
        told = Told(
            version=version,
            outcome=shown["state"].removeprefix("ROLLOUT_STATE_").lower(),
            seconds=seconds,
            why=shown["state_decision"]["reason"],
            canary=back["name"] if back else "",
            canary_code=attempt["code"].removeprefix("REASON_CODE_"),
            canary_message=attempt["message"],
            canary_output=last_word(attempt["output_tail"]),
            given_go=(),
            past_go=(),
        )
        return self._counted(told)

    def _counted(self, told: Told) -> Told:
        """Count the hosts that were given a Go, and those that used one, as they say themselves by now."""
        sha256 = self._sha256(told.version)
        given, used = hosts_given_go(self._fleet.hosts, sha256), hosts_past_go(self._fleet.hosts, sha256)
        return replace(told, given_go=tuple(given), past_go=tuple(used))

    def _wait_for_the_way_back(self, version: str) -> None:
        """Wait until the canary runs the version before."""
        self._fleet.wait(
            f"no host runs {version}", lambda: set(self._fleet.versions().values()) == {GOOD}, ROLLOUT_SECONDS
        )
        self._fleet.wait_online()

    def _check_all_run(self, version: str, hosts: Sequence[str] = HOSTS) -> None:
        """Demand that these hosts run ``version``: the server says so, and so does each host's own boot record."""
        versions = self._fleet.versions()
        if set(versions.values()) != {version} or sorted(versions) != sorted(hosts):
            raise DemoError(f"not every host runs {version}: {versions}")
        own = running_artefacts(self._fleet.hosts)
        if set(own.values()) != {(version, self._sha256(version))} or sorted(own) != sorted(hosts):
            raise DemoError(f"not every boot record names {version}: {own}")

    def _sha256(self, version: str) -> str:
        """Return the digest of a release's artefact."""
        return hashlib.sha256(self._artefacts[version].read_bytes()).hexdigest()


def check(told: list[Told]) -> None:
    """Demand what the demonstration promises; each Go is counted where it came, on the hosts themselves.

    Raises:
        DemoError: a promise is not kept.
    """
    good, *bad = told
    if good.outcome != "completed" or sorted(set(good.given_go)) != list(HOSTS) or sorted(good.past_go) != list(HOSTS):
        raise DemoError(f"{good.version} did not reach every host: {good}")
    for one in bad:
        alone = set(one.given_go) == {one.canary} and one.past_go == (one.canary,)
        if one.outcome != "halted" or not one.canary_code or not alone:
            raise DemoError(f"{one.version} was not stopped at its canary: {one}")
        if not one.canary_output:
            raise DemoError(f"{one.version}: nothing is known of what {one.canary} printed at its end")
    if len({one.canary for one in bad}) != len(bad):
        raise DemoError("the two canaries are the same host")


def environment() -> None:
    """Keep what the programs print readable in any terminal."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
