"""How well the bandwidth cap holds: bytes that came in any ten seconds, and bytes that a sender got rid of, beside it.

Run by ``make bench-download``. A process of its own sends without end, over HTTP as a mirror does and over gRPC as the
server does; this one downloads from it under a cap, for a little longer than ten seconds, alone and twice side by side.

Ends with one line of JSON. Ratios are to the cap, over ten seconds: ``lowest`` and ``highest`` of what was received,
``sent`` the most that the sender got rid of (what it is ahead stands in sockets and windows), ``lead_bytes`` how far
that is at most. ``cpu`` is this process's, in seconds of processor per second.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import http.server
import json
import multiprocessing
import resource
import struct
import sys
import tempfile
import termios
import threading
import time
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import grpc

from fleetroll.v1 import repository_pb2, repository_pb2_grpc
from fleetroll_agent.fetch import MirrorSource, Pacer, fetch_target
from fleetroll_agent.session.repository import Repository
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.wire.channel import AGENT_OPTIONS, SERVER_OPTIONS

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection
    from multiprocessing.sharedctypes import Synchronized

    from fleetroll_agent.fetch import TargetSource

WINDOW_SECONDS = 10.0
EXTRA_SECONDS = 2.0
TOLERANCE = 0.05
LENGTH = 1 << 40
"""As good as endless."""
CHUNK = bytes(256 * 1024)
"""What the server sends at a time."""


@dataclass(frozen=True)
class Target:
    """Something that is never whole."""

    path: str
    length: int = LENGTH
    sha256: str = "0" * 64


class Web(http.server.BaseHTTPRequestHandler):
    """A mirror."""

    counts: ClassVar[dict[socket.socket, int]] = {}
    """What each connection's socket took so far, in bytes."""

    def do_GET(self) -> None:
        """Send without end."""
        self.send_response(200)
        self.send_header("Content-Length", str(LENGTH))
        self.end_headers()
        self.counts[self.connection] = 0
        with suppress(OSError):
            while True:
                self.counts[self.connection] += self.connection.send(CHUNK)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        """Say nothing."""

    @classmethod
    def watch(cls, sent: Synchronized[int]) -> None:
        """Keep ``sent`` at what the other end's system has taken: what waits in this one's is not on the line."""
        while True:
            with suppress(OSError, RuntimeError, ValueError):
                sent.value = sum(count - _waiting(connection) for connection, count in cls.counts.items())
            time.sleep(0.01)


def _waiting(connection: socket.socket) -> int:
    """Return how many bytes a socket holds that the other end has not taken."""
    (count,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
    return int(count)


class Server(repository_pb2_grpc.RepositoryServiceServicer):
    """The repository."""

    def __init__(self, sent: Synchronized[int]) -> None:
        """Count in ``sent``."""
        self._sent = sent

    async def GetMetadata(self, _request: Any, _context: Any) -> repository_pb2.GetMetadataResponse:  # noqa: ANN401, N802 (the contract's)
        """Have none."""
        return repository_pb2.GetMetadataResponse()

    async def FetchTarget(self, _request: Any, _context: Any) -> AsyncIterator[repository_pb2.FetchTargetResponse]:  # noqa: ANN401, N802 (the contract's)
        """Send without end."""
        while True:
            yield repository_pb2.FetchTargetResponse(chunk=CHUNK)
            with self._sent.get_lock():
                self._sent.value += len(CHUNK)


def serve_web(port: Connection, sent: Synchronized[int]) -> None:
    """Be a mirror until killed."""
    threading.Thread(target=Web.watch, args=(sent,), daemon=True).start()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    port.send(server.server_address[1])
    server.serve_forever()


def serve_grpc(port: Connection, sent: Synchronized[int]) -> None:
    """Be a server until killed."""

    async def serve() -> None:
        server = grpc.aio.server(options=list(SERVER_OPTIONS))
        repository_pb2_grpc.add_RepositoryServiceServicer_to_server(Server(sent), server)
        port.send(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await server.wait_for_termination()

    asyncio.run(serve())


async def measure(kind: str, cap: int, downloads: int, folder: Path) -> dict[str, Any]:
    """Download under ``cap`` bytes per second for a while; return what came."""
    spawn = multiprocessing.get_context("spawn")
    sent, (ours, theirs) = spawn.Value("q", 0), spawn.Pipe()
    child = spawn.Process(target=serve_web if kind == "http" else serve_grpc, args=(theirs, sent), daemon=True)
    child.start()
    try:
        port = await asyncio.to_thread(ours.recv)
        return await _receive(kind, port, sent, cap, downloads, folder)
    finally:
        child.kill()
        child.join()


async def _receive(
    kind: str, port: int, sent: Synchronized[int], cap: int, downloads: int, folder: Path
) -> dict[str, Any]:
    clock, times, sizes, got = SystemClock(), [0.0], [0], [0] * downloads
    pacer = Pacer(clock, cap)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=list(AGENT_OPTIONS)) as channel:
        mirror = MirrorSource(f"http://127.0.0.1:{port}/{{path}}", cap)
        source: TargetSource = mirror if kind == "http" else Repository(channel, lambda: b"token")
        began, used = time.monotonic(), _cpu()

        def count(number: int, size: int) -> None:
            got[number] = size
            times.append(time.monotonic() - began)
            sizes.append(sum(got))

        def download(number: int) -> asyncio.Task[Path]:
            told = lambda size: count(number, size)  # noqa: E731 (bound here)
            wanted = Target(f"x/{number}")
            return asyncio.create_task(
                fetch_target(
                    source, wanted, folder / f"{kind}-{cap}-{downloads}-{number}", clock, None, told, pacer=pacer
                )
            )

        tasks = [download(number) for number in range(downloads)]
        out_times, out, lead = [0.0], [0], 0
        while (gone := time.monotonic() - began) < WINDOW_SECONDS + EXTRA_SECONDS:
            await asyncio.sleep(0.05)
            out_times.append(gone)
            out.append(sent.value)
            lead = max(lead, out[-1] - sizes[-1])
        took, cpu = time.monotonic() - began, _cpu() - used
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if not isinstance(end, asyncio.CancelledError):
                raise RuntimeError(end)  # noqa: TRY004 (a download that ended)
    lowest, highest = _rates(times, sizes, cap)
    return {
        "kind": kind, "cap": cap, "downloads": downloads, "lowest": lowest, "highest": highest,
        "sent": _rates(out_times, out, cap)[1], "lead_bytes": lead, "cpu": round(cpu / took, 3),
        "unfair": round(max(got) / max(1, min(got)), 3),
    }  # fmt: skip


def _rates(times: list[float], sums: list[int], cap: int) -> tuple[float, float]:
    """Return the lowest and the highest rate over any ten seconds, in caps."""
    found = []
    for edge, before in zip(times, sums, strict=True):
        if edge > times[-1] - WINDOW_SECONDS:
            break
        found.append((sums[bisect_right(times, edge + WINDOW_SECONDS) - 1] - before) / (cap * WINDOW_SECONDS))
    return round(min(found), 4), round(max(found), 4)


def _cpu() -> float:
    """Return the processor time of this process so far."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    return mine.ru_utime + mine.ru_stime


async def main(caps: list[int]) -> None:
    """Measure each way under each cap."""
    found: dict[str, Any] = {"window_seconds": WINDOW_SECONDS, "runs": []}
    with tempfile.TemporaryDirectory(prefix="fleetroll-bench-") as folder:
        for kind in ("http", "grpc"):
            for cap in caps:
                for downloads in (1, 2):
                    run = await measure(kind, cap, downloads, Path(folder))
                    found["runs"].append(run)
                    sys.stdout.write(
                        f"{kind} x {downloads} under {cap / 1e6:g} MB/s: any 10 s received "
                        f"{run['lowest']:.4f} to {run['highest']:.4f} of the cap, sent up to {run['sent']:.4f} "
                        f"({run['lead_bytes'] / 1e6:.1f} MB ahead), {run['cpu']:.2f} of a core\n"
                    )
                    sys.stdout.flush()
    found["within_5_percent"] = all(max(1 - run["lowest"], run["highest"] - 1) <= TOLERANCE for run in found["runs"])
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--caps", type=int, nargs="+", default=[200_000, 2_000_000, 20_000_000], help="bytes/s")
    asyncio.run(main(options.parse_args().caps))
