"""A fleet of a test: a real server over TLS on a loopback port, and its hosts, as processes of their own."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import agents_pb2, rollouts_pb2, tokens_pb2
from fleetroll_client import AdminClient, Endpoint
from fleetroll_server.datafolder import DataFolder
from tests.e2e.fleet.host import Host, wait
from tests.e2e.fleet.processes import CLI, SERVER, Child, Done, Processes, run
from tests.e2e.fleet.records import Records

if TYPE_CHECKING:
    from pathlib import Path

READY_SECONDS = 30.0
CALL_SECONDS = 15.0
RUNNING = frozenset(
    {
        rollouts_pb2.ROLLOUT_STATE_RUNNING,
        rollouts_pb2.ROLLOUT_STATE_PAUSED,
        rollouts_pb2.ROLLOUT_STATE_UNSPECIFIED,
    }
)


class Fleet:
    """One server and its hosts below one folder."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """Use ``folder``, in which a server's data folder stands or will stand; nothing runs."""
        self.folder = folder
        self.data = DataFolder(folder / "data")
        self.address = f"127.0.0.1:{port or free_port()}"
        self.processes = Processes()
        self.hosts: dict[str, Host] = {}
        self._server: Child | None = None
        self._client: AdminClient | None = None

    @property
    def server(self) -> Child:
        if self._server is None:
            raise AssertionError("the server does not run")
        return self._server

    @property
    def records(self) -> Records:
        """What stands in the server's database."""
        return Records(self.data.database)

    @property
    def ca_pem(self) -> bytes:
        return (self.data.tls / "ca.pem").read_bytes()

    @property
    def environment(self) -> dict[str, str]:
        """What tells the command line which server is meant."""
        return {
            "FLEETROLL_SERVER": self.address,
            "FLEETROLL_CA": str(self.data.tls / "ca.pem"),
            "FLEETROLL_TOKEN_FILE": str(self.data.admin_token),
        }

    @property
    def client(self) -> AdminClient:
        """A client with the first admin's right."""
        if self._client is None:
            token = self.data.admin_token.read_text("ascii").strip()
            self._client = AdminClient(Endpoint(self.address, self.ca_pem, token))
        return self._client

    def start_server(self, *program: str) -> None:
        """Start the server, with another program than its own if one is given, and wait until it answers."""
        self.launch_server(*program)
        self.wait_ready()

    def launch_server(self, *program: str) -> None:
        """Start the server; it may not answer yet."""
        words = ("run", "--data", str(self.data.path), "--listen", self.address)
        self._server = self.processes.start(*(program or SERVER), *words, log=self.folder / "server.log")

    def adopt_server(self, child: Child) -> None:
        """Take ``child`` for the server from now on; calls go over a new connection."""
        self._server = child
        self._hang_up()

    def move(self, address: str) -> None:
        """Let the server, which does not run, have another address from its next start on."""
        self.address = address
        self._hang_up()

    def wait_ready(self) -> None:
        """Wait until the server takes connections."""
        wait("the server answers", self._answers, READY_SECONDS, self.server.said)

    def stop_server(self) -> None:
        """Stop the server in order."""
        assert self.server.stop() == 0, self.server.said()[-2000:]
        self._server = None

    def end(self) -> None:
        """End everything that was started."""
        self._hang_up()
        self.processes.end_all()

    def cli(self, *words: str, **environment: str) -> Done:
        """Run ``fleetroll`` as a process of its own."""
        return run(*CLI, *words, environment={**self.environment, **environment})

    def start_cli(self, *words: str) -> Child:
        """Start ``fleetroll`` in the background."""
        return self.processes.start(*CLI, *words, log=self.folder / "cli.log", environment=self.environment)

    def add_host(self, name: str) -> Host:
        """Name a host of this fleet; its folder may be there already."""
        host = self.hosts[name] = Host(name, self.folder / "hosts" / name, self.processes)
        return host

    def join_string(self, uses: int = 1, seconds: float = 3600.0) -> str:
        """Make a join token and return its join string."""
        request = tokens_pb2.CreateJoinTokenRequest(max_uses=uses)
        request.valid_for.FromTimedelta(timedelta(seconds=seconds))
        answer = self.client.tokens.CreateJoinToken(request, timeout=CALL_SECONDS)
        return str(answer.join_string)

    def agents(self) -> dict[str, agents_pb2.Agent]:
        """Return the hosts as the server knows them, by name."""
        answer = self.client.agents.ListAgents(agents_pb2.ListAgentsRequest(), timeout=CALL_SECONDS)
        return {agent.name: agent for agent in answer.agents}

    def wait_online(self, *names: str) -> None:
        """Wait until the hosts (default: all) have a session: those that just left count as online too."""
        wanted = set(names or self.hosts)

        def online() -> bool:
            there = {name for (name,) in self.records.rows("SELECT name FROM agent WHERE server_id != ''")}
            return wanted <= there & {name for name, agent in self.agents().items() if agent.online}

        wait(f"{', '.join(sorted(wanted))} online", online, READY_SECONDS, self.server.said)

    def rollout(
        self,
        version: str,
        *hosts: str,
        soak: float = 1.0,
        lease: float = 60.0,
        key: str = "",
        batch_size: int = 0,
        **limits: Any,
    ) -> str:
        """Start a rollout for ``hosts`` (default: all), in waves of ``batch_size`` (default: one); return its id."""
        request = rollouts_pb2.StartRolloutRequest(
            product="agent",
            version=version,
            idempotency_key=key,
            selection=rollouts_pb2.Selection(hosts=hosts),
            limits=rollouts_pb2.RolloutLimits(**limits),
            batch_size=batch_size,
        )
        request.limits.soak.FromTimedelta(timedelta(seconds=soak))
        request.limits.lease.FromTimedelta(timedelta(seconds=lease))
        return str(self.client.rollouts.StartRollout(request, timeout=CALL_SECONDS).rollout.id)

    def rollout_of(self, rollout_id: str) -> rollouts_pb2.Rollout:
        """Return a rollout."""
        request = rollouts_pb2.GetRolloutRequest(rollout_id=rollout_id)
        return self.client.rollouts.GetRollout(request, timeout=CALL_SECONDS).rollout

    def place(self, rollout_id: str, name: str) -> rollouts_pb2.RolloutHost:
        """Return one host's place in a rollout."""
        request = rollouts_pb2.ListRolloutHostsRequest(rollout_id=rollout_id)
        answer = self.client.rollouts.ListRolloutHosts(request, timeout=CALL_SECONDS)
        return next(host for host in answer.hosts if host.name == name)

    def is_completed(self, rollout_id: str) -> bool:
        """Tell whether a rollout has come to its good end.

        Raises:
            AssertionError: it has come to another one.
        """
        state = self.rollout_of(rollout_id).state
        assert state in {*RUNNING, rollouts_pb2.ROLLOUT_STATE_COMPLETED}, self.rollout_of(rollout_id)
        return state == rollouts_pb2.ROLLOUT_STATE_COMPLETED

    def outcome(self, rollout_id: str, seconds: float = 60.0) -> str:
        """Wait for the rollout's outcome; return its name."""
        wait(
            f"rollout {rollout_id} ends",
            lambda: self.rollout_of(rollout_id).state not in RUNNING,
            seconds,
            lambda: f"{self.rollout_of(rollout_id)}\n{self.server.said()[-3000:]}",
        )
        state = self.rollout_of(rollout_id).state
        return rollouts_pb2.RolloutState.Name(state).removeprefix("ROLLOUT_STATE_")

    def cancel(self, rollout_id: str) -> None:
        """End a rollout."""
        request = rollouts_pb2.CancelRolloutRequest(rollout_id=rollout_id, reason="the test is over")
        self.client.rollouts.CancelRollout(request, timeout=CALL_SECONDS)

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.__exit__(None, None, None)
            self._client = None

    def _answers(self) -> bool:
        if self.server.ended is not None:
            raise AssertionError(f"the server ended: {self.server.said()[-3000:]}")
        host, _, port = self.address.rpartition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
