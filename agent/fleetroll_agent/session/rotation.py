"""The agent's half of a key rotation, and the one owner of the identity in a running agent.

Two phases: the new key is durable here before the server hears of it; the server holds both until the first hello with
the new one, which ends the old one. So after the server's word the stream is renewed at once. Which key speaks, after
whatever got lost in between, is the rule of :mod:`fleetroll_agent.identity.ratchet`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_agent.convert import read_code
from fleetroll_agent.identity.facts import KeptRotation
from fleetroll_agent.identity.ratchet import Began, on_key_accepted
from fleetroll_agent.identity.rotation import DAY_SECONDS, Circumstances, Step, due
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_common.values.errors import AgentError
from fleetroll_common.wire import signing

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.identity.ratchet import Keys
    from fleetroll_agent.identity.store import IdentityStore
    from fleetroll_agent.settings import Settings
    from fleetroll_common.values.clock import Clock

log = structlog.get_logger(__name__)


class Rotation:
    """One per process. ``identity`` is what the next hello shows."""

    def __init__(
        self, store: IdentityStore, identity: Identity, settings: Settings, clock: Clock, boot_id: str
    ) -> None:
        """Keep the parts; nothing is written before :meth:`wish`."""
        self.identity = identity
        self._store = store
        self._rotate_after = settings.identity_rotate_after_days * DAY_SECONDS
        self._clock = clock
        self._boot_id = boot_id
        self._proposed_at: float | None = None

    async def wish(self, *, agreed: bool, idle: bool) -> stream_pb2.RotateKey | None:
        """Return the proposal that is due now, its key durable; None when there is none. A full disk makes none."""
        step = due(self.identity.keys, self._circumstances(agreed=agreed, idle=idle))
        if step is Step.NOTHING:
            return None
        try:
            await in_thread(partial(self._write, step))
        except AgentError as error:
            log.warning("key_not_written", reason=str(error))
            return None
        return self._proposal(self.identity) if step is Step.PROPOSE else None

    def heard(self, answer: stream_pb2.RotateKeyResult) -> bool:
        """Take the server's answer in; True when it holds the new key, which the next hello speaks with."""
        keys = self.identity.keys
        if keys.pending is None or answer.accepted_key != signing.public_key(keys.pending):
            log.warning("key_refused", code=read_code(answer.code))
            return False
        self.take(on_key_accepted(keys))
        log.info("key_accepted")
        return True

    def take(self, keys: Keys) -> None:
        """Go on with ``keys``: what the server said about the pending one is kept in memory alone."""
        self.identity = replace(self.identity, keys=keys)

    def _write(self, step: Step) -> None:
        """Make the step durable. Blocks; the identity follows the disk, also when nobody waits for this any more."""
        if step is Step.STAMP:
            self.identity = self._store.stamp_key(self.identity, self._clock.now().timestamp())
            return
        self._proposed_at = self._clock.boottime()
        self.identity = self._store.begin_rotation(self.identity, Began(self._boot_id, self._proposed_at))
        rotation = _signed(self.identity)
        if rotation is not None:
            self.identity = self._store.keep_rotation(self.identity, rotation)

    def _proposal(self, identity: Identity) -> stream_pb2.RotateKey | None:
        rotation = _signed(identity)
        if rotation is None:
            return None
        log.info("key_rotation", agent=identity.enrolment.agent_id)
        return stream_pb2.RotateKey(
            new_key=rotation.new_key,
            current_signature=rotation.old_signature,
            new_signature=rotation.new_signature,
        )

    def _circumstances(self, *, agreed: bool, idle: bool) -> Circumstances:
        return Circumstances(
            unix_seconds=self._clock.now().timestamp(),
            boot_seconds=self._clock.boottime(),
            boot_id=self._boot_id,
            agreed=agreed,
            idle=idle,
            proposed_at=self._proposed_at,
            rotate_after_seconds=self._rotate_after,
        )


def _signed(identity: Identity) -> KeptRotation | None:
    """Return the replacement that is under way, signed by both keys: the same bytes each time; None = there is none."""
    keys = identity.keys
    if keys.pending is None:
        return None
    old, fresh = signing.public_key(keys.current), signing.public_key(keys.pending)
    said = signing.rotate_bytes(identity.enrolment.agent_id, old, fresh)
    return KeptRotation(old, fresh, signing.sign(keys.current, said), signing.sign(keys.pending, said))
