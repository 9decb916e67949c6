"""An identity folder whose process is killed, or whose disk refuses, at every effect of every write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.identity.facts import Enrolment, WelcomeReceipt
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_common.durable import effects
from fleetroll_common.values.ids import SequentialIds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

CA_PEM = b"""-----BEGIN CERTIFICATE-----
MIIBZTCCAQugAwIBAgIUaagiarSOaEc3QnsKhcONsBTJsWEwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAeFw0yNTEyMzEyMzAwMDBaFw00NTEyMjcwMDAwMDBa
MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASmK/5D
k7Ae5mSHe6QQSLuQ0fYRGUZGAQ5fcNecxnHBSm+/VrA7V6fVWLA/CZEVTi23aEJ3
6d1MiXWoby4/yuq9o0UwQzAdBgNVHQ4EFgQUVn30EkD/2cgQ1j2KtMhyFc682uQw
EgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwID
SAAwRQIgFZzuPSK/cLUvsoSl4LaGT3VPcZPjEXK8f4ZSOK+01VgCIQCLsu8p0WhC
kCgufpZEv086PDyN4NdW/MkHDULEe/o1OQ==
-----END CERTIFICATE-----
"""
"""Of a CA that has no key any more."""
ANSWER = Enrolment(
    agent_id="agent-1",
    fleet_id="fleet-1",
    addresses=("a:1", "b:2"),
    incarnation="inc-1",
    labels={"site": "x"},
    receipt=b"receipt",
    receipt_mac=b"m" * 32,
    ca_pem=CA_PEM,
    root=b"{}",
)
RECEIPT = WelcomeReceipt("inc-1", 9, b"w" * 32)


class Killed(BaseException):
    """The process is gone."""


class Faults:
    """Counts effects; kills the process before or after the n-th, or lets the disk refuse from the n-th on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.kill_before: int | None = None
        self.kill_after: int | None = None
        self.refuse_from: tuple[int, int] | None = None
        for point in ("create", "write", "fsync_file", "rename", "unlink", "fsync_dir"):
            monkeypatch.setattr(effects, point, self._wrapped(getattr(effects, point)))

    def _wrapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.count += 1
            if self.count == self.kill_before:
                raise Killed
            if self.refuse_from is not None and self.count >= self.refuse_from[0]:
                raise OSError(self.refuse_from[1], "refused")
            result = real(*args)
            if self.count == self.kill_after:
                raise Killed
            return result

        return call


def open_store(tmp_path: Path, seed: str = "a") -> IdentityStore:
    return IdentityStore(tmp_path / "identity", SequentialIds(seed))


def enrolled(tmp_path: Path) -> IdentityStore:
    store = open_store(tmp_path)
    store.candidate()
    store.enrol(ANSWER)
    return store


def effects_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> int:
    """Count the effects of an undisturbed run."""
    with monkeypatch.context() as patch:
        faults = Faults(patch)
        action()
        return faults.count


def killed_everywhere(monkeypatch: pytest.MonkeyPatch, total: int, run: Callable[[Faults, str, int], None]) -> None:
    for when in ("kill_before", "kill_after"):
        for point in range(1, total + 1):
            with monkeypatch.context() as patch:
                run(Faults(patch), when, point)
