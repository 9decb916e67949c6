"""A rollout, shown until its outcome: by what the server tells, or by asking where it can't tell."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import grpc

from fleetroll.v1 import events_pb2, rollouts_pb2
from fleetroll_cli.asking import get
from fleetroll_cli.exits import Exit, is_newer, of_rollout
from fleetroll_cli.links import TRIES, LinkNotes
from fleetroll_cli.output import note, plain, print_json, say
from fleetroll_cli.watch import lines_of
from fleetroll_client import Changed, Connection, ServerRefusedError, Snapshot, follow_blocking, translate
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_client import AdminClient

ASK_SECONDS = 0.5
"""How often is asked where the server can't tell."""
PATIENCE_SECONDS = 120.0
"""How long a server that does not answer is waited for: longer than a restart takes."""
GLANCE_SECONDS = 5.0
"""How long an answer is waited for between two tries to be told."""
CAN_NOT_TELL = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED)
"""An older server, or a token without the right to watch."""


def follow(client: AdminClient, rollout_id: str, *, json: bool) -> Exit:
    """Show a rollout until its outcome; survive a server that is away for a while.

    A pause is no outcome, whoever made it: it is told beside the output, once each time, and watching goes on.
    """
    shown = _Shown(rollout_id, json=json)
    try:
        return _told(client, rollout_id, shown)
    except ServerRefusedError as error:
        if error.status not in CAN_NOT_TELL:
            raise
    return _asked(client, rollout_id, shown)


class _Shown:
    """What was printed of a rollout."""

    def __init__(self, rollout_id: str, *, json: bool) -> None:
        """Begin with nothing."""
        self._rollout_id = rollout_id
        self._json = json
        self._lines: list[str] = []
        self._paused = False
        self._state = rollouts_pb2.ROLLOUT_STATE_UNSPECIFIED

    def take(self, rollout: rollouts_pb2.Rollout) -> Exit | None:
        """Print what is new, and return the outcome where there is one."""
        lines = lines_of(rollout)
        if lines != self._lines and not self._json:
            for line in lines:
                say(line)
        self._lines = lines
        if not self._paused and rollout.state == rollouts_pb2.ROLLOUT_STATE_PAUSED:
            note(f"{plain(self._rollout_id)} is paused and waits for a person: resume or cancel it")
        self._paused = rollout.state == rollouts_pb2.ROLLOUT_STATE_PAUSED
        ended = rollout.HasField("ended_at")
        if is_newer(rollout.state) and (rollout.state != self._state or ended):
            words = "ended in" if ended else "is in"
            then = "" if ended else ": watching goes on"
            note(f"{plain(self._rollout_id)} {words} state {rollout.state}, which only a newer fleetroll knows{then}")
        self._state = rollout.state
        outcome = of_rollout(rollout.state, ended=ended)
        if outcome is not None and self._json:
            print_json(rollouts_pb2.GetRolloutResponse(rollout=rollout))
        return outcome


def _told(client: AdminClient, rollout_id: str, shown: _Shown) -> Exit:
    """Show what the server tells.

    Raises:
        ServerRefusedError: it can't tell, refuses, or stayed away for longer than a restart takes.
    """
    request = events_pb2.WatchEventsRequest(rollout_id=rollout_id, subjects=[events_pb2.WATCH_SUBJECT_ROLLOUTS])
    silent_since: float | None = None
    notes = LinkNotes()
    with closing(follow_blocking(client, request)) as updates:
        for update in updates:
            match update:
                case Snapshot() | Changed():
                    for rollout in update.rollouts:
                        outcome = shown.take(rollout) if rollout.id == rollout_id else None
                        if outcome is not None:
                            return outcome
                case Connection(live=True):
                    notes.take(update)
                    silent_since = None
                case Connection():
                    notes.take(update)
                    silent_since = time.monotonic() if silent_since is None else silent_since
                    answer = _answer(client, rollout_id) if update.attempt >= TRIES else None
                    if answer is not None:  # it has no place for one more watcher, say
                        silent_since = None
                        outcome = shown.take(answer.rollout)
                        if outcome is not None:
                            return outcome
                    elif time.monotonic() - silent_since > PATIENCE_SECONDS:
                        break
    return _asked(client, rollout_id, shown, patience_seconds=0)


def _answer(client: AdminClient, rollout_id: str) -> rollouts_pb2.GetRolloutResponse | None:
    """Ask once, where nothing is told; None where nobody answers.

    Raises:
        ServerRefusedError: the server refuses.
    """
    try:
        with translate():
            return get(client, rollout_id, timeout_seconds=GLANCE_SECONDS)
    except ServerRefusedError as error:
        if error.code is not Code.UNAVAILABLE:
            raise
        return None


def _asked(client: AdminClient, rollout_id: str, shown: _Shown, patience_seconds: float = PATIENCE_SECONDS) -> Exit:
    """Ask until the outcome.

    Raises:
        ServerRefusedError: the server refuses, or stayed away for longer than ``patience_seconds``.
    """
    silent_since: float | None = None
    while True:
        try:
            with translate():
                answer = get(client, rollout_id)
        except ServerRefusedError as error:
            silent_since = silent_since or time.monotonic()
            if error.code is not Code.UNAVAILABLE or time.monotonic() - silent_since >= patience_seconds:
                raise
            time.sleep(ASK_SECONDS)
            continue
        silent_since = None
        outcome = shown.take(answer.rollout)
        if outcome is not None:
            return outcome
        time.sleep(ASK_SECONDS)
