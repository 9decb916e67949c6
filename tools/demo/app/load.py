"""Visitors: a steady load of requests, each of which is counted as answered or as failed."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

VISITORS = 4
"""At once, for each gateway."""
PAUSE_SECONDS = 0.02
LIMIT_SECONDS = 10.0


@dataclass
class Counted:
    """What became of the requests.

    Attributes:
        answers: good ones, by port and the version of the gateway that gave them.
        failures: what went wrong, one line each.
    """

    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All that were made."""
        return self.answers.total() + len(self.failures)

    def versions(self, port: int) -> set[str]:
        """Return the versions that answered at a port."""
        return {version for (where, version), count in self.answers.items() if where == port and count}


class Load:
    """Visitors of some gateways, as long as the block lasts."""

    def __init__(self, ports: list[int]) -> None:
        """Nobody visits yet."""
        self.counted = Counted()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._visit, args=(port,)) for port in ports for _ in range(VISITORS)]

    def __enter__(self) -> Self:
        """Let them come."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let every one finish the request at hand, then go."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, port: int) -> None:
        """Ask for the page again and again; nothing is asked twice."""
        while not self._over.wait(PAUSE_SECONDS):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=LIMIT_SECONDS) as answer:
                    json.loads(answer.read())
                    version = answer.headers["Gateway"]
            except (OSError, ValueError, http.client.HTTPException) as error:
                with self._lock:
                    self.counted.failures.append(f"port {port}: {type(error).__name__}: {error}")
            else:
                with self._lock:
                    self.counted.answers[port, version] += 1


def ask(port: int, order: str = "", path: str = "/") -> dict[str, Any]:
    """Return the page that a gateway or shop shows, or the answer to an order.

    Raises:
        OSError: it does not answer, or with an error.
    """
    body = order.encode() or None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=LIMIT_SECONDS) as answer:
        said: dict[str, Any] = json.loads(answer.read())
        return said
