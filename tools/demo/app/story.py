"""What the second demonstration shows, step by step, and the proof of each step."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tools.demo.app.load import Load
from tools.demo.app.releases import GATEWAY, RELEASES, SHOP, Release, write
from tools.demo.journals import last_word
from tools.demo.processes import run
from tools.demo.sources import DemoError, copy_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tools.demo.app.host import WebHost
    from tools.demo.fleet import Fleet

HOSTS = ("web-1", "web-2")
CANARY = HOSTS[0]
WAVES = f"{CANARY},rest"
SOAK = "1s"
HALTED = 30
SECONDS = 60.0
SOME = 100
"""Requests of visitors before and after a swap."""
REASON = "orders look wrong"
"""What the person at the host says."""


class AppStory:
    """Tells the story on one fleet; says aloud what happens."""

    def __init__(self, fleet: Fleet, hosts: tuple[WebHost, ...], root: Path) -> None:
        """Take the fleet, its hosts, and the source tree that the agent is built from."""
        self._fleet = fleet
        self._hosts = hosts
        self._root = root
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        """Print one line with the time since the start."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {line}", flush=True)

    def set_up(self) -> None:
        """Start the server, publish everything, enrol the hosts."""
        self.say("building the agent and the releases of two products, starting a server")
        source = copy_source(self._root, self._fleet.folder / "sources" / "agent")
        agent = self._fleet.build("1.0.0", source)
        self._fleet.start_server()
        self._fleet.publish(agent)
        for product in (SHOP, GATEWAY):
            run("fleetroll", "release", "product", "add", product)
        with ThreadPoolExecutor(max_workers=3) as pool:
            built = list(pool.map(self._build, RELEASES))
        for release, artefact in zip(RELEASES, built, strict=True):
            self._fleet.publish(artefact, *(["--migrations-required"] if release.migrates else []))
        self.say(f"enrolling {', '.join(HOSTS)}; the supervisors of their shops and gateways wait for something to run")
        self._fleet.enroll(HOSTS)
        self._fleet.wait_online(len(HOSTS))

    def tell(self) -> None:
        """Tell it.

        Raises:
            DemoError: something did not happen as promised.
        """
        self._began = time.monotonic()
        self._install()
        self._migrate()
        self._fail_before_the_switch()
        self._fail_after_the_switch()
        self._swap_while_it_serves()
        self._go_back_by_hand()

    def _build(self, release: Release) -> Path:
        """Build a release as its owner would; return its artefact."""
        source = write(release, self._fleet.folder / "sources")
        words = ["--product", release.product, "--version", release.version, "--platform", "any"]
        words += ["--entry", release.entry] if source.is_dir() else []
        built = run("fleetroll", "release", "build", *words, "--out", str(self._fleet.artefacts), str(source))
        return self._fleet.artefacts / built.strip()

    def _install(self) -> None:
        """Bring the first versions to hosts that have none, and take orders."""
        self._roll_out(SHOP, "1.0.0")
        self._roll_out(GATEWAY, "1.0.0")
        for host in self._hosts:
            for item in ("apple", "pear", "plum"):
                host.order(item)
        self._demand_pages("1.0.0", schema=1, orders=3)
        self.say("shop 1.0.0 and gateway 1.0.0 are installed; 3 orders on each host; schema 1")

    def _migrate(self) -> None:
        """Update with a migration; a higher major version is what the fleet's policy has to allow first."""
        run("fleetroll", "policy", "set", "allow_major=yes", "--reason", "shop and gateway are released with care")
        self._roll_out(SHOP, "2.0.0")
        self._demand_pages("2.0.0", schema=2, orders=3)
        kept = [name for host in self._hosts for name in host.backups()]
        _demand(len(kept) == len(HOSTS), f"each host has one backup: {kept}")
        self.say(f"shop 2.0.0: backed up ({kept[0]}), migrated to schema 2; the 3 orders are there")

    def _fail_before_the_switch(self) -> None:
        """Try a release whose smoke test fails: nothing is changed."""
        before = [host.page() for host in self._hosts]
        attempt = self._is_stopped("3.0.0", "FAILED", "STEP_FAILED")
        _demand([host.page() for host in self._hosts] == before, "nothing was changed")
        word = last_word(attempt["output_tail"])
        _demand("SHOP_CURRENCY" in word, f"the last output says what is wrong: {word!r}")
        self.say(f"shop 3.0.0 FAILED on {CANARY}, nothing changed: {attempt['message']}")
        self.say(f"  its last output: {word}; rollout halted, {HOSTS[1]} never tried it")

    def _fail_after_the_switch(self) -> None:
        """Try a release that migrates and does not work: the version before comes back, with its data."""
        for host in self._hosts:
            host.order("quince")
        attempt = self._is_stopped("4.0.0", "ROLLED_BACK", "HEALTH_TIMEOUT")
        self._demand_pages("2.0.0", schema=2, orders=4)
        self.say(f"shop 4.0.0 ROLLED_BACK on {CANARY}: {attempt['message']}")
        self.say(f"  2.0.0 is back with its data: schema 2, 4 orders; rollout halted, {HOSTS[1]} never tried it")

    def _swap_while_it_serves(self) -> None:
        """Replace the gateway's running file while visitors come, and count them."""
        with Load([host.port for host in self._hosts]) as load:
            self._wait("the visitors come", lambda: load.counted.requests > SOME)
            self._roll_out(GATEWAY, "2.0.0")
            now = load.counted.requests
            self._wait("they still come", lambda: load.counted.requests > now + SOME)
        counted = load.counted
        _demand(not counted.failures, f"{len(counted.failures)} of {counted.requests} failed: {counted.failures[:3]}")
        for host in self._hosts:
            seen = counted.versions(host.port)
            _demand(seen == {"1.0.0", "2.0.0"}, f"{host.name}: both versions answered visitors: {sorted(seen)}")
        self.say(f"gateway 2.0.0 swapped in on both hosts while {counted.requests} requests came: 0 failed requests")

    def _go_back_by_hand(self) -> None:
        """A person takes a version back; the server does not bring another one until they let it."""
        host = self._hosts[0]
        said = self._at_host("rollback", SHOP, "--soak", SOAK, "--reason", REASON).strip()
        self._demand_page(host, "1.0.0", schema=1, orders=3)
        self.say(f"a person on {CANARY}: fleetroll-agent rollback {SHOP}: {said.splitlines()[-1]}")
        self.say("  with the data of its backup, schema 1; the order that came after it went with 2.0.0")
        rollout = self._start(SHOP, "5.0.0", WAVES.replace(CANARY, HOSTS[1]))
        self._wait("the host waits", lambda: self._attempt(rollout, CANARY)["code"].endswith("HELD_LOCALLY"))
        self._wait("the other has it", lambda: self._attempt(rollout, HOSTS[1])["state"].endswith("_SUCCEEDED"))
        attempt = self._attempt(rollout, CANARY)
        self._demand_page(host, "1.0.0", schema=1, orders=3)
        self._demand_page(self._hosts[1], "5.0.0", schema=2, orders=4)
        self.say(f"a rollout of 5.0.0 has updated {HOSTS[1]}; {CANARY} is held: {attempt['message']}")
        self._show()
        said = self._at_host("unhold", SHOP).strip()
        self._wait("the rollout completes", lambda: self._fleet.rollout(rollout)["state"].endswith("_COMPLETED"))
        self._demand_page(host, "5.0.0", schema=2, orders=3)
        self.say(f"fleetroll-agent unhold {SHOP}: {said}; the rollout completed, 5.0.0 with schema 2 runs everywhere")

    def _show(self) -> None:
        """Show what the host and the server say of it."""
        said = {
            f"fleetroll-agent status, on {CANARY}": self._at_host("status"),
            f"fleetroll-agent history {SHOP}, on {CANARY}": self._at_host("history", SHOP),
            f"fleetroll agents show {CANARY}": run("fleetroll", "agents", "show", CANARY),
        }
        for command, text in said.items():
            self.say(f"{command}:")
            print("".join(f"    {line[:150]}\n" for line in text.splitlines() if line.strip()), end="", flush=True)

    def _at_host(self, *words: str) -> str:
        """Type a command of the agent at the canary."""
        return run("fleetroll-agent", *words, "--state", str(self._fleet.hosts / CANARY))

    def _roll_out(self, product: str, version: str, codes: tuple[int, ...] = (0,)) -> None:
        """Roll out and watch it to its outcome."""
        run(*_command(product, version, WAVES), "--watch", seconds=SECONDS, codes=codes)

    def _start(self, product: str, version: str, waves: str) -> str:
        """Start a rollout and don't wait; return its id."""
        run(*_command(product, version, waves))
        return self._newest()

    def _newest(self) -> str:
        """Return the newest rollout's id."""
        rollout_id: str = json.loads(run("fleetroll", "rollout", "list", "--json"))["rollouts"][0]["id"]
        return rollout_id

    def _is_stopped(self, version: str, result: str, code: str) -> dict[str, Any]:
        """Roll a bad release of the shop out; return how it ended at the one host that tried it."""
        self._roll_out(SHOP, version, codes=(HALTED,))
        rollout = self._newest()
        attempt = self._attempt(rollout, CANARY)
        ended = (attempt["state"].removeprefix("ATTEMPT_STATE_"), attempt["code"].removeprefix("REASON_CODE_"))
        _demand(ended == (result, code), f"{version} ends {result} ({code}), not {ended}")
        other = self._attempt(rollout, HOSTS[1])
        _demand(not other.get("go_at"), f"{HOSTS[1]} was never let: {other}")
        run("fleetroll", "rollout", "cancel", rollout, "--reason", "bad release")
        return attempt

    def _attempt(self, rollout: str, name: str) -> dict[str, Any]:
        """Return how a host stands in a rollout."""
        found = next(host for host in self._fleet.rollout_hosts(rollout) if host["name"] == name)
        attempt: dict[str, Any] = found["attempt"]
        return attempt

    def _demand_pages(self, version: str, *, schema: int, orders: int) -> None:
        """Demand what visitors of both hosts see."""
        for host in self._hosts:
            self._demand_page(host, version, schema=schema, orders=orders)

    def _demand_page(self, host: WebHost, version: str, *, schema: int, orders: int) -> None:
        page = host.page()
        seen = (page["version"], page["schema"], len(page["orders"]))
        _demand(
            seen == (version, schema, orders), f"{host.name} shows {version}, schema {schema}, {orders} orders: {page}"
        )

    def _wait(self, what: str, holds: Callable[[], bool]) -> None:
        self._fleet.wait(what, holds, SECONDS)


def _command(product: str, version: str, waves: str) -> tuple[str, ...]:
    """Return the command line that starts a rollout."""
    options = ("--waves", waves, "--soak", SOAK, "--lease", "40s", "--reason", "demo")
    return ("fleetroll", "rollout", "start", "--product", product, "--version", version, *options)


def _demand(holds: bool, what: str) -> None:  # noqa: FBT001 (the demand itself)
    """Demand a promise.

    Raises:
        DemoError: it is not kept.
    """
    if not holds:
        raise DemoError(f"not as promised: {what}")
