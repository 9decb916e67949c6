"""How a host becomes an agent: key, identity, first slot, first boot record. Each part is finished after a crash.

Order: the key is on disk before anybody hears of it; the answer is written in one step; then the newest listed release
of the channel is fetched through the ordinary, verified way; the boot record comes last. Asking again at any point goes
on where it stopped and spends no second use of the token.

Meant for a command of its own: between the calls to the server it blocks.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.install import install_first
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.lock import StateLock
from fleetroll_agent.session.enrolling import ask_to_enrol
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.durable import sync_dir
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
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
        channel: the first release is the newest one of this channel.
        interpreter: absolute path of the Python that runs the agent.
        labels: proposed; the token's win.
    """

    join: JoinString = field(repr=False)
    folder: Path
    host_name: str
    channel: str
    interpreter: str
    labels: dict[str, str]


async def enroll(wish: Wish) -> str:
    """Make this host an agent and return a sentence for people; a host that is one already is left as it is.

    Raises:
        FleetrollError, LauncherError: with what is to be done; nothing is half done that asking again would not finish.
    """
    make_folder(wish.folder)
    with StateLock(str(wish.folder), LOCK_WAIT_SECONDS):
        store = IdentityStore(wish.folder / "identity", SystemIds())
        fresh = not store.is_enrolled()
        identity = await _enrol(store, wish) if fresh else store.load()
        version = "" if _is_installed(wish.folder) else await install_first(store, identity, wish)
    who = f"{identity.enrolment.agent_id} in fleet {identity.enrolment.fleet_id}"
    if not fresh and not version:
        return f"this host is enrolled already, as {who}; nothing was changed"
    installed = f"; agent {version} is installed" if version else ""
    return f"enrolled as {who}{installed}; start it with: fleetroll-agent run --state {wish.folder}"


async def readmit(wish: Wish) -> str:
    """Make a new key for the agent that this host is, with a readmission token; return a sentence for people.

    Raises:
        FleetrollError, LauncherError: the token is another agent's, or the host is none.
    """
    with StateLock(str(wish.folder), LOCK_WAIT_SECONDS):
        store = IdentityStore(wish.folder / "identity", SystemIds())
        known = store.load().enrolment.agent_id
        identity = await _enrol(store, wish, known)
    return f"readmitted as {identity.enrolment.agent_id} with a new key; start it with: fleetroll-agent run"


def make_folder(folder: Path) -> None:
    """Make the state folder, for its owner alone, and its name durable.

    Raises:
        AgentError: the host's disk.
    """
    with typed_disk_errors(f"making {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        sync_dir(folder.parent)


async def _enrol(store: IdentityStore, wish: Wish, known: str = "") -> Identity:
    """Ask with the key on disk, check the answer against what the join string pins, and keep it."""
    candidate = store.candidate()
    answer = await ask_to_enrol(wish.join, candidate, wish.host_name, wish.labels)
    _check(answer, wish.join, known)
    return store.enrol(answer)


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


def _is_installed(folder: Path) -> bool:
    return os.path.lexists(files.record_path(str(folder)))
