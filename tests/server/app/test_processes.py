"""Whole programs: init, run, stop, kill -9 and start again, over a real port."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    enrolment_pb2_grpc,
    releases_pb2,
    releases_pb2_grpc,
    server_info_pb2,
    server_info_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
    types_pb2,
)
from fleetroll_common.wire.channel import ADMIN_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]
SOURCES = os.pathsep.join(str(ROOT / name) for name in ("generated", "common", "publishing", "server"))
START_SECONDS = 30.0


def command(*arguments: str | Path, **variables: str) -> tuple[list[str], dict[str, str]]:
    environment = {"PATH": os.defpath, "PYTHONPATH": SOURCES, **variables}
    return [sys.executable, "-m", "fleetroll_server.app", *map(str, arguments)], environment


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line, environment = command(*arguments)
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)


class Child:
    """A running server."""

    def __init__(self, data: Path, *more: str, **variables: str) -> None:
        line, environment = command("run", "--data", data, "--listen", "127.0.0.1:0", *more, **variables)
        self.log = (data.parent / "log").open("ab")
        self.process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.data = data
        self.address = self._ready()

    def _ready(self) -> str:
        assert self.process.stdout is not None
        began = time.monotonic()
        line = self.process.stdout.readline()
        assert time.monotonic() - began < START_SECONDS
        found = re.fullmatch(r"fleetroll-server 0\.0\.0\+dev is ready on (127\.0\.0\.1:\d+)\n", line)
        assert found, (line, (self.data.parent / "log").read_text())
        return found[1]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
        return code


@contextmanager
def child(data: Path, **variables: str) -> Iterator[Child]:
    server = Child(data, **variables)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


@contextmanager
def channel(server: Child) -> Iterator[grpc.Channel]:
    credentials = grpc.ssl_channel_credentials((server.data / "tls" / "ca.pem").read_bytes())
    with grpc.secure_channel(server.address, credentials, options=ADMIN_OPTIONS) as opened:
        yield opened


def bearer(data: Path) -> Any:
    return (("authorization", f"Bearer {(data / 'admin.token').read_text().strip()}"),)


def test_version_is_told_without_anything_else() -> None:
    assert run("--version").stdout == "fleetroll-server 0.0.0+dev\n"


def test_init_prints_the_token_once_and_warns_about_unprotected_keys(tmp_path: Path) -> None:
    made = run("init", "--data", tmp_path / "data", "--root-keys", tmp_path / "keys", "--address", "fleet.example:8443")
    assert made.returncode == 0, made.stderr
    token = (tmp_path / "data" / "admin.token").read_text().strip()
    assert made.stdout.count(token) == 1
    assert "WARNING" in made.stdout
    assert stat.S_IMODE((tmp_path / "data" / "fleetroll.db").stat().st_mode) == 0o600
    again = run("init", "--data", tmp_path / "data", "--root-keys", tmp_path / "other")
    assert (again.returncode, again.stdout) == (1, "")
    assert "ALREADY_EXISTS" in again.stderr
    assert "Traceback" not in again.stderr


def test_wrong_use_is_told_in_a_sentence(tmp_path: Path) -> None:
    empty = run("run", "--data", tmp_path)
    assert (empty.returncode, empty.stderr.count("\n")) == (1, 1)
    assert "fleetroll-server init" in empty.stderr
    (tmp_path / "passphrase").write_text("\n")
    arguments = ("init", "--data", tmp_path / "d", "--root-keys", tmp_path / "k", "--passphrase-file")
    assert "is empty" in run(*arguments, tmp_path / "passphrase").stderr
    assert "No such file" in run(*arguments, tmp_path / "none").stderr
    assert run("run").returncode == 2


def test_a_missing_extra_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sqlalchemy.py").write_text("raise ModuleNotFoundError('no', name='sqlalchemy')")
    line, environment = command("run", "--data", tmp_path)
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"
    found = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 1
    assert found.stderr == "fleetroll-server: sqlalchemy is not installed: pip install 'fleetroll[server]'\n"


def test_one_folder_has_one_server_and_one_port_one_program(installed: Any) -> None:
    with child(installed.data) as first:
        second = run("run", "--data", installed.data, "--listen", "127.0.0.1:0")
        assert second.returncode == 1
        assert "a server runs on" in second.stderr
        assert first.end() == 0


def test_a_port_that_is_taken_is_named(installed: Any, tmp_path: Path) -> None:
    shutil.copytree(installed.data, tmp_path / "second")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = run("run", "--data", tmp_path / "second", "--listen", address)
    assert refused.returncode == 1
    assert f"listen: {address} can't be opened" in refused.stderr


def test_readable_root_keys_are_warned_about(installed: Any) -> None:
    with child(installed.data) as server:
        assert server.end() == 0
    assert "root_keys.readable" in (installed.data.parent / "log").read_text()


@pytest.mark.e2e
def test_what_was_told_survives_kill_9_and_a_new_start(
    installed: Any, host: Callable[..., Any], artefact: Callable[..., Any]
) -> None:
    built, data = artefact("1.1.0"), installed.data
    with child(data) as server, channel(server) as open_channel:
        info = server_info_pb2_grpc.ServerInfoServiceStub(open_channel).GetServerInfo(
            server_info_pb2.GetServerInfoRequest()
        )
        assert (info.version, info.signing_mode, info.protocol_max) == ("0.0.0+dev", "managed", 1)
        made = tokens_pb2_grpc.TokensServiceStub(open_channel).CreateJoinToken(
            tokens_pb2.CreateJoinTokenRequest(max_uses=5), metadata=bearer(data)
        )
        enrolled = enrolment_pb2_grpc.EnrolmentServiceStub(open_channel).Enroll(host().request(made.join_string))
        published = releases_pb2_grpc.ReleasesServiceStub(open_channel).PublishRelease(
            upload(built), metadata=bearer(data)
        )
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    with child(data) as server, channel(server) as open_channel:
        agents = agents_pb2_grpc.AgentsServiceStub(open_channel).ListAgents(
            agents_pb2.ListAgentsRequest(), metadata=bearer(data)
        )
        assert [agent.id for agent in agents.agents] == [enrolled.agent_id]
        releases = releases_pb2_grpc.ReleasesServiceStub(open_channel).ListReleases(
            releases_pb2.ListReleasesRequest(), metadata=bearer(data)
        )
        assert [release.id for release in releases.releases] == [published.release.id]
        again = enrolment_pb2_grpc.EnrolmentServiceStub(open_channel).Enroll(host().request(made.join_string))
        assert again.agent_id == enrolled.agent_id
        assert server.end() == 0


def upload(built: Any) -> Iterator[releases_pb2.PublishReleaseRequest]:
    """The messages of an upload."""
    head = releases_pb2.PublishHeader(
        product="agent",
        version="1.1.0",
        channels=["stable"],
        platform=types_pb2.Platform(os="linux", arch="x86_64", abi="cp311"),
        git_sha="abcdef0",
        sha256=bytes.fromhex(built.artefact_sha256),
        length=built.artefact_bytes,
    )
    yield releases_pb2.PublishReleaseRequest(header=head)
    data = built.path.read_bytes()
    for start in range(0, len(data), 262_144):
        yield releases_pb2.PublishReleaseRequest(chunk=data[start : start + 262_144])


@pytest.mark.e2e
def test_a_kill_during_an_upload_leaves_nothing_behind_the_next_start(
    installed: Any, artefact: Callable[..., Any]
) -> None:
    built, data = artefact("1.1.0"), installed.data

    def stopped_half_way(server: Child) -> Iterator[releases_pb2.PublishReleaseRequest]:
        for number, message in enumerate(upload(built)):
            if number == 2:
                limit = time.monotonic() + 20
                while not list((data / "spool").iterdir()) and time.monotonic() < limit:
                    time.sleep(0.01)
                server.process.kill()
            yield message

    with child(data) as server, channel(server) as open_channel:
        with pytest.raises(grpc.RpcError):
            releases_pb2_grpc.ReleasesServiceStub(open_channel).PublishRelease(
                stopped_half_way(server), metadata=bearer(data), timeout=30
            )
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    assert list((data / "spool").iterdir())
    with child(data) as server, channel(server) as open_channel:
        assert list((data / "spool").iterdir()) == []
        assert list((data / "artefacts").iterdir()) == []
        published = releases_pb2_grpc.ReleasesServiceStub(open_channel).PublishRelease(
            upload(built), metadata=bearer(data), timeout=30
        )
        assert published.role_version == 2
        assert server.end() == 0


@pytest.mark.e2e
def test_the_ca_alone_opens_the_connection(installed: Any) -> None:
    with child(installed.data, FLEETROLL_SERVER_LOG_LEVEL="error") as server:
        foreign = grpc.secure_channel(server.address, grpc.ssl_channel_credentials(b""))
        for stranger in (foreign, grpc.insecure_channel(server.address)):
            with stranger, pytest.raises(grpc.FutureTimeoutError):
                grpc.channel_ready_future(stranger).result(1)
        with channel(server) as trusted:
            grpc.channel_ready_future(trusted).result(10)
        assert server.end() == 0


def test_a_log_that_can_not_be_written_keeps_no_server_from_starting_and_ending(installed: Any) -> None:
    """A disk that is full of logs must not take the control plane with it."""
    line, environment = command("run", "--data", installed.data, "--listen", "127.0.0.1:0")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=full, text=True)
    try:
        assert process.stdout is not None
        assert "is ready on" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()
