"""Another CA and another address, with the real programs: three hosts, one of them off, one that lost its server."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.fleet.fleet import free_port
from tests.e2e.fleet.host import wait
from tests.e2e.fleet.processes import AGENT, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


class Forward:
    """Passes connections at one address on to another, as a rule of a firewall does."""

    def __init__(self, at: str, to: str) -> None:
        self._to = (to.rpartition(":")[0], int(to.rpartition(":")[2]))
        self._listening = socket.create_server((at.rpartition(":")[0], int(at.rpartition(":")[2])))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._listening, *self._open):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._to)
            except OSError:
                return
            self._open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for one in (source, sink):
                one.close()


@pytest.fixture
def fleet(template: Template, tmp_path: Path) -> Iterator[Fleet]:
    """Run a server and three hosts."""
    fleet = template.copy(tmp_path, "h1", "h2", "h3")
    try:
        fleet.start_server()
        for host in fleet.hosts.values():
            host.aim(fleet.address)
            host.start()
        fleet.wait_online()
        yield fleet
    finally:
        fleet.end()


def anchors(fleet: Fleet, *words: str) -> Any:
    done = fleet.cli("anchors", *words, "--json")
    assert done.code == 0, done.said
    return json.loads(done.out)["state"]


def shown(host: Host) -> Any:
    done = run(*AGENT, "anchors", "show", "--state", str(host.state), "--json")
    assert done.code == 0, done.said
    return json.loads(done.out)


def has_serial(host: Host, serial: int) -> None:
    host.wait(f"it has the anchors {serial}", lambda: bool(shown(host)["serial"] == serial))


def test_hosts_follow_to_another_ca_and_another_address(fleet: Fleet, tmp_path: Path) -> None:
    h1, h2, away = (fleet.hosts[name] for name in ("h1", "h2", "h3"))
    old_address, old_ca, context = fleet.address, fleet.ca_pem, tmp_path / "context-ca.pem"
    context.write_bytes(old_ca)
    config = {"FLEETROLL_CONFIG": str(tmp_path / "contexts.toml")}
    added = fleet.cli("context", "add", "here", "--ca", str(context), **config)
    assert added.code == 0, added.said
    away.stop()

    assert anchors(fleet, "rotate-ca", "prepare", "--reason", "its time has come")["serial"] == "1"
    for host in (h1, h2):
        has_serial(host, 1)
    sessions = [host.launcher.said().count("session_open") for host in (h1, h2)]
    anchors(fleet, "rotate-ca", "switch")
    assert fleet.cli("anchors", "show", FLEETROLL_CA=str(context)).code == 0, "the old file is good for the bridge"
    refreshed = fleet.cli("context", "refresh", "here", **config)
    assert refreshed.code == 0, refreshed.said
    assert context.read_bytes().count(b"BEGIN CERTIFICATE") == 2
    assert [host.launcher.said().count("session_open") for host in (h1, h2)] == sessions, "open streams stayed"

    new_address = f"127.0.0.1:{free_port()}"
    anchors(fleet, "set", "--address", new_address, "--address", old_address)
    assert anchors(fleet, "rotate-ca", "drop")["serial"] == "3"
    for host in (h1, h2):
        has_serial(host, 3)
    fleet.stop_server()
    fleet.move(new_address)
    fleet.start_server()
    forward = Forward(old_address, new_address)
    try:
        fleet.wait_online("h1", "h2")
        away.start()
        fleet.wait_online()
        has_serial(away, 3)
    finally:
        forward.close()
    for host in fleet.hosts.values():
        said = shown(host)
        assert said["addresses"] == [new_address, old_address]
        assert len(said["authorities"]) == 1
        assert (host.state / "identity" / "ca.pem").read_bytes() == fleet.ca_pem != old_ca

    def counted() -> bool:
        return {one["serial"]: one["hosts"] for one in anchors(fleet, "show")["reported"]}.get("3") == 3

    wait("the server counts them", counted, 60.0, fleet.server.said)


def test_a_host_that_lost_its_server_for_good_takes_anchors_that_are_carried_to_it(
    fleet: Fleet, tmp_path: Path
) -> None:
    lost = fleet.hosts["h3"]
    lost.stop()
    anchors(fleet, "rotate-ca", "prepare")
    anchors(fleet, "rotate-ca", "switch")
    anchors(fleet, "rotate-ca", "drop")
    new_address = f"127.0.0.1:{free_port()}"
    anchors(fleet, "set", "--address", new_address)
    bundle = tmp_path / "fleet.tar"
    made = fleet.cli("release", "bundle", "--product", "agent", "--version", "1.0.0", "--out", str(bundle))
    assert made.code == 0, made.said
    for host in ("h1", "h2"):
        fleet.hosts[host].stop()
    fleet.stop_server()
    fleet.move(new_address)
    fleet.start_server()

    taken = run(*AGENT, "anchors", "import", str(bundle), "--state", str(lost.state))
    assert taken.code == 0, taken.said
    assert new_address in taken.out
    lost.start()
    fleet.wait_online("h3")
    again = run(*AGENT, "anchors", "import", str(bundle), "--state", str(lost.state))
    assert (again.code, "already" in again.out) == (0, True), again.said
    refused = run(*AGENT, "anchors", "import", str(lost.state / "agent.toml"), "--state", str(lost.state))
    assert refused.code == 21, refused.said
    assert shown(lost)["addresses"] == [new_address]
