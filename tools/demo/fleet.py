"""The demonstration's fleet: one server, twelve hosts, one more that comes late, and how to ask about them."""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tools.demo.processes import Processes, Running, run
from tools.demo.sources import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

HOSTS = tuple(f"host-{number:02}" for number in range(1, 13))
NEWCOMER = "host-13"
"""Enrols when everything else is over."""
SETTINGS = """\
[host]
containers = true                # the demonstration may itself run in one

[products.agent]
min_update_interval_seconds = 0  # it shows in a minute what a fleet does in days
"""
"""Every host's agent.toml."""
READY_SECONDS = 30.0
ONLINE_SECONDS = 60.0


class Fleet:
    """One server and its hosts below one folder."""

    def __init__(
        self, folder: Path, processes: Processes, settings: Callable[[str], str] = lambda _name: SETTINGS
    ) -> None:
        """Name the places; nothing is made yet. ``settings`` returns a host's agent.toml."""
        self.folder = folder
        self.data = folder / "server"
        self.root_keys = folder / "root-keys-to-take-away"
        self.hosts = folder / "hosts"
        self.artefacts = folder / "artefacts"
        self._processes = processes
        self._settings = settings
        self._address = f"127.0.0.1:{free_port()}"

    def start_server(self) -> Running:
        """Make the server's data folder and run it until it answers."""
        run(
            "fleetroll-server",
            "init",
            "--data",
            str(self.data),
            "--root-keys",
            str(self.root_keys),
            "--address",
            self._address,
            "--demo",
        )
        server = self._processes.start(
            "server", "fleetroll-server", "run", "--data", str(self.data), "--listen", self._address
        )
        os.environ.update(self.environment())
        self.wait("the server answers", lambda: _answers(self._address, server), READY_SECONDS)
        return server

    def environment(self) -> dict[str, str]:
        """Return what the command line needs to reach the server."""
        return {
            "FLEETROLL_SERVER": self._address,
            "FLEETROLL_CA": str(self.data / "tls" / "ca.pem"),
            "FLEETROLL_TOKEN_FILE": str(self.data / "admin.token"),
        }

    def build(self, version: str, source: Path) -> Path:
        """Build the agent of ``source`` as ``version``; return its artefact."""
        words = ("--version", version, "--out", str(self.artefacts), "--source", str(source), "--level", "3")
        return self.artefacts / run("fleetroll", "release", "build", *words).strip()

    def publish(self, artefact: Path, *words: str) -> None:
        """Upload an artefact and have it signed; ``words`` are further options."""
        run("fleetroll", "release", "publish", str(artefact), *words)

    def enroll(self, names: Sequence[str]) -> list[str]:
        """Enrol hosts with one join string and start their launchers; return what each enrolment said, in their order.

        Raises:
            DemoError: a host could not be enrolled.
        """
        join = run("fleetroll", "tokens", "join", "create", "--uses", str(len(names)), "--valid-for", "1h").strip()
        with ThreadPoolExecutor(max_workers=3) as pool:
            return list(pool.map(lambda name: self._enroll(name, join), names))

    def _enroll(self, name: str, join: str) -> str:
        """Enrol one host and start it."""
        state = self.hosts / name
        if (state / "slots").exists():
            raise DemoError(f"{name}: there is a slot before the host is enrolled")
        said = run("fleetroll-agent", "enroll", join, "--state", str(state), "--name", name, "--label", "site=demo")
        (state / "agent.toml").write_text(self._settings(name), encoding="utf-8")
        self._processes.start(name, "fleetroll-agent", "run", "--state", str(state))
        return said.strip()

    def wait_online(self, hosts: int = len(HOSTS)) -> None:
        """Wait until so many hosts are online.

        Raises:
            DemoError: not within a minute.
        """
        self.wait(f"{hosts} hosts are online", lambda: sum(a["online"] for a in self.agents()) == hosts, ONLINE_SECONDS)

    def agents(self) -> list[dict[str, Any]]:
        """Return the hosts as the server knows them."""
        answer: list[dict[str, Any]] = json.loads(run("fleetroll", "agents", "list", "--json"))["agents"]
        return answer

    def rollout(self, rollout_id: str) -> dict[str, Any]:
        """Return one rollout."""
        answer: dict[str, Any] = json.loads(run("fleetroll", "rollout", "show", rollout_id, "--json"))["rollout"]
        return answer

    def rollout_hosts(self, rollout_id: str) -> list[dict[str, Any]]:
        """Return the hosts of a rollout."""
        answer: list[dict[str, Any]] = json.loads(run("fleetroll", "rollout", "hosts", rollout_id, "--json"))["hosts"]
        return answer

    def versions(self) -> dict[str, str]:
        """Return the version that each host runs, by name."""
        return {
            agent["name"]: next((p["current_version"] for p in agent["products"] if p["product"] == "agent"), "")
            for agent in self.agents()
        }

    def wait(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        """Ask until it holds.

        Raises:
            DemoError: it did not hold in time.
        """
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise DemoError(f"{what}: not within {seconds:.0f} s")
            time.sleep(0.3)


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(address: str, server: Running) -> bool:
    """Tell whether the server takes connections.

    Raises:
        DemoError: it ended.
    """
    if server.process.poll() is not None:
        raise DemoError(f"the server ended: {server.output.read_text(errors='replace')[-2000:]}")
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
