"""A recording that is played back as if it were a server. Nothing can be decided in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui import convert
from fleetroll_tui.feed.base import any_turn
from fleetroll_tui.feed.journal import entries
from fleetroll_tui.model.updates import Older

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fleetroll_tui.feed.base import Turn
    from fleetroll_tui.model.anchors import Anchors
    from fleetroll_tui.model.recovery import Recovery
    from fleetroll_tui.model.releases import Catalogue, FloorPreview, InUse
    from fleetroll_tui.model.signing import ServerInfo, Signing
    from fleetroll_tui.model.updates import Update
    from fleetroll_tui.model.values import Attempt


class Replay:
    """A server that was."""

    recording = True
    fault = ""

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        """Read the recording.

        Args:
            path: the file.
            speed: how many recorded seconds go by in one; 0 for all of it at once.

        Raises:
            RequestError: it can't be read (caller's fault).
        """
        self._entries = entries(path)
        self._speed = speed
        self._began: float | None = None
        self.turn: Turn = any_turn

    async def watch(self, rollout_id: str = "") -> AsyncIterator[Update]:
        """Yield what was recorded, in its time, and then nothing more.

        All streams have one clock, which begins with the first: what was recorded before one is opened comes at once.
        """
        loop = asyncio.get_running_loop()
        began = self._began = loop.time() if self._began is None else self._began
        for entry in self._entries:
            if entry.stream != rollout_id:
                continue
            due = began + entry.after / self._speed if self._speed else 0.0
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await self.turn()
            yield convert.update(entry.message)
        await asyncio.Event().wait()

    async def older(self, *, rollout_id: str = "", host_id: str = "") -> Older:  # noqa: ARG002 (the protocol's)
        """Return nothing: what was recorded comes by watching."""
        return Older(())

    async def attempts(self, host_id: str) -> tuple[Attempt, ...]:  # noqa: ARG002 (the protocol's)
        """Return nothing: the newest attempt stands in the host itself."""
        return ()

    async def catalogue(self) -> Catalogue:
        """Refuse: what was asked beside the watch is not recorded."""
        raise _unrecorded()

    async def in_use(self, product: str) -> dict[str, InUse]:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _unrecorded()

    async def preview_floor(self, product: str, version: str) -> FloorPreview:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _unrecorded()

    async def set_floor(self, product: str, role_version: int, version: str, stranded: int, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def signing(self) -> Signing:
        """Refuse."""
        raise _unrecorded()

    async def server_info(self) -> ServerInfo:
        """Refuse."""
        raise _unrecorded()

    async def anchors(self) -> Anchors:
        """Refuse."""
        raise _unrecorded()

    async def recovery(self) -> Recovery:
        """Refuse."""
        raise _unrecorded()

    async def admit(self, hosts: tuple[str, ...], reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def end_recovery(self, not_seen: int, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def withdraw(self, product: str, role_version: int, verb: str, version: str, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def promote(
        self,
        product: str,  # noqa: ARG002 (the protocol's)
        role_version: int,  # noqa: ARG002
        version: str,  # noqa: ARG002
        channels: tuple[str, ...],  # noqa: ARG002
        reason: str,  # noqa: ARG002
    ) -> None:
        """Refuse."""
        raise _refusal()

    async def pause(self, rollout_id: str, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def resume(self, rollout_id: str, revision: int, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def advance(self, rollout_id: str, revision: int, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def cancel(self, rollout_id: str, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def press(self, fleet_id: str, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def lift(self, fleet_id: str, epoch: int, reason: str) -> None:  # noqa: ARG002 (the protocol's)
        """Refuse."""
        raise _refusal()

    async def close(self) -> None:
        """Have nothing to let go of."""


def _unrecorded() -> RequestError:
    message = "this is a recording: releases and keys are not in it"
    return RequestError(message, code=Code.UNIMPLEMENTED, remedy="start the console with --server")


def _refusal() -> RequestError:
    message = "this is a recording: nothing can be decided in it"
    return RequestError(message, code=Code.UNAVAILABLE, remedy="start the console with --server")
