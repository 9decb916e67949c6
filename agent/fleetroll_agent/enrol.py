"""How a host becomes an agent: key, identity, first slot, first boot record. Each part is finished after a crash.

Order: the key is on disk before anybody hears of it; the answer is written in one step; then the release that the
server names for a new host is fetched through the ordinary, verified way and tested; the boot record comes last.
Asking again at any point goes on where it stopped, installs again what was lost, and spends no second use of the token.

Meant for a command of its own: between the calls to the server it blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.install import install_first
from fleetroll_agent.launcher.lock import StateLock
from fleetroll_agent.session.enrolling import ask_to_enrol
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_agent.startable import can_start, check_interpreter, check_slot
from fleetroll_common.durable import sync_dir
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError, TrustError
from fleetroll_common.values.ids import SystemIds

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.identity.facts import Enrolment, Identity
    from fleetroll_common.wire.joinstring import JoinString

LOCK_WAIT_SECONDS = 10.0
"""For the child of a launcher that was just stopped."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for on the command line.

    Attributes:
        join: the join string.
        folder: the state folder; made when it is absent.
        host_name: as the server shall show it.
        channel: the first release is one of this channel.
        interpreter: absolute path of the Python that runs the agent.
        labels: proposed; the token's win.
        agent_id: the agent that this host is, where its own files don't say it: lost, or damaged; else empty.
    """

    join: JoinString = field(repr=False)
    folder: Path
    host_name: str
    channel: str
    interpreter: str
    labels: dict[str, str]
    agent_id: str = ""


async def enroll(wish: Wish) -> str:
    """Make this host an agent and return a sentence for people.

    A host that is one already is left as it is, unless its launcher could start nothing: then a release is installed
    again, under the same identity. With ``wish.agent_id`` a machine that lost its state folder becomes that
    agent again.

    Raises:
        FleetrollError, LauncherError: with what is to be done; nothing is half done that asking again would not finish.
    """
    await asyncio.to_thread(check_interpreter, wish.interpreter)
    make_folder(wish.folder)
    with StateLock(str(wish.folder), LOCK_WAIT_SECONDS):
        store = IdentityStore(wish.folder / "identity", SystemIds())
        fresh = not store.is_enrolled()
        identity = await _enrol(store, wish, wish.agent_id) if fresh else store.load()
        _own_id(identity.enrolment.agent_id, wish)
        startable = await asyncio.to_thread(can_start, wish.folder)
        if startable:
            await asyncio.to_thread(check_slot, wish.folder)
        installed = "" if startable else await install_first(store, identity, wish)
    who = f"{identity.enrolment.agent_id} in fleet {identity.enrolment.fleet_id}"
    if not fresh and not installed:
        return f"this host is enrolled already, as {who}; nothing was changed"
    return f"enrolled as {who}; {installed}start it with: fleetroll-agent run --state {wish.folder}"


async def readmit(wish: Wish) -> str:
    """Make a new key for the agent that this host is, with a readmission token; return a sentence for people.

    It is the way out of damaged files too: when none of them says who this host is, ``wish.agent_id`` does.

    Raises:
        FleetrollError, LauncherError: the token is another agent's, or the host is none; nothing was changed.
    """
    with StateLock(str(wish.folder), LOCK_WAIT_SECONDS):
        store = IdentityStore(wish.folder / "identity", SystemIds())
        known = _own_id(store.known_agent_id(), wish)
        if not known:
            text = "agent_id: no file here can be believed that says which agent this host is"
            remedy = "add --agent-id, with the id that the list of agents shows for this host"
            raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy=remedy, field="agent_id", value="")
        identity = await _enrol(store, wish, known)
    who = identity.enrolment.agent_id
    return f"readmitted as {who} with a new key; start it with: fleetroll-agent run --state {wish.folder}"


def make_folder(folder: Path) -> None:
    """Make the state folder, for its owner alone, and its name durable.

    Raises:
        AgentError: the host's disk.
    """
    with typed_disk_errors(f"making {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        sync_dir(folder.parent)


def _own_id(known: str, wish: Wish) -> str:
    """Return who this host is: what its files say, else what is asked for.

    Raises:
        RequestError: INVALID_ARGUMENT: they are two (the caller's fault).
    """
    if known and wish.agent_id not in {"", known}:
        text = f"agent_id: {wish.agent_id!r} was given, and this host is {known}; nothing was changed"
        remedy = "leave --agent-id out, or run it on the host that is meant"
        raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy=remedy, field="agent_id", value=wish.agent_id)
    return known or wish.agent_id


async def _enrol(store: IdentityStore, wish: Wish, agent_id: str) -> Identity:
    """Ask with the key on disk, check the answer against what the join string pins, and keep it."""
    candidate = store.candidate()
    try:
        answer = await ask_to_enrol(wish.join, candidate, wish.host_name, wish.labels, agent_id)
    except RequestError as error:
        if error.details.get("field") == "agent_id":
            raise _not_for_this_host(store, error) from error
        raise
    _check(answer, wish.join, agent_id)
    return _stamped(store, store.enrol(answer))


def _not_for_this_host(store: IdentityStore, error: RequestError) -> RequestError:
    """Forget the key that was refused, and return the refusal. A disk that keeps the key does no harm."""
    with contextlib.suppress(AgentError):
        store.give_up()
    text = f"{error.message}; nothing was changed"
    return RequestError(text, code=error.code, remedy=error.remedy, **error.details)


def _stamped(store: IdentityStore, identity: Identity) -> Identity:
    """Write the age of the new key down. Without it nothing is lost: the first quiet session does it."""
    try:
        return store.stamp_key(identity, SystemClock().now().timestamp())
    except AgentError:
        return identity


def _check(answer: Enrolment, join: JoinString, known: str) -> None:
    """Refuse an answer that is not about the pinned root, or about another agent."""
    if hashlib.sha256(answer.root).digest() != join.root_sha256:
        text = "the server's trust root is not the one that the join string pins"
        raise TrustError(text, code=Code.WRONG_HASH, remedy="find out who answers in the server's place")
    if not answer.agent_id or not answer.addresses or b"BEGIN CERTIFICATE" not in answer.ca_pem:
        text = "the server's answer lacks an id, an address or a certificate"
        raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy="update the server")
    if known and answer.agent_id != known:
        text = f"the token readmits {answer.agent_id}, this host is {known}"
        raise RequestError(text, code=Code.CONFLICT, remedy="ask for a token for this host")
