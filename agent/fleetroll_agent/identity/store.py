"""The identity folder: what is written when, so that a power cut at any point leaves one whole identity.

- ``key``: private keys: the current one with its age and, during a rotation, the pending one.
- ``ratchet.json``: the pair, how often it moved on, and the last Welcome's receipt (one write per Welcome).
- ``rotations.json``: the replacements of the key, as they were proposed: for a server that was restored. Best effort: a
  host without it, or with a damaged one, works as ever.
- ``agent.json``: agent id, fleet, addresses, incarnation, labels. ``receipt``: the enrolment's, as received.
- ``ca.pem``, ``root.json``: what the join string pinned.
- ``anchors.json``: the signed anchors that were taken since; they are brought into ``agent.json`` and ``ca.pem`` as
  well (:mod:`.anchored` says why).
- ``candidate.json``: a key and ratchet that ask to be enrolled; then also the answer, until it stands in the files
  above.

Rules:

- A candidate is on disk before anybody hears of it: an answer that got lost is asked for again with the same key. One
  that can't be believed is put aside as ``candidate.json.damaged``, and a new one asks in its place. One that was made
  for a string of another host goes again, and nothing else changes.
- The answer is written into the candidate in one step; that is the enrolment. Spreading it over the files is repeated
  after a crash, so that no mixture of two identities is ever loaded, in a readmission either.
- All files are 0600 in a folder of 0700, records carry a checksum, and fields that this version does not know are kept.

Everything here blocks: sessions call it in a thread, one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.identity import records
from fleetroll_agent.identity.anchored import MARK, anchors_record, following, read_anchors_record, with_anchors
from fleetroll_agent.identity.damage import ENROLL, READMIT, DamagedIdentity, check_ca, damaged
from fleetroll_agent.identity.facts import Candidate, Identity
from fleetroll_agent.identity.ratchet import Keys, Ratchet, on_key_welcomed, on_welcome, propose
from fleetroll_agent.identity.roots import is_root
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.durable import DamagedRecord, dump_record, free_name, load_record, sync_dir, write_durably
from fleetroll_common.durable import effects as durable_effects
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from fleetroll_common.wire.handshake import RATCHET_BYTES
from fleetroll_common.wire.signing import KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.identity.facts import Enrolment, KeptAnchors, KeptRotation, WelcomeReceipt
    from fleetroll_agent.identity.ratchet import Began
    from fleetroll_common.values.anchors import SignedAnchors
    from fleetroll_common.values.ids import IdSource

KEY, RATCHET, AGENT, RECEIPT = "key", "ratchet.json", "agent.json", "receipt"
CA, ROOT, CANDIDATE = "ca.pem", "root.json", "candidate.json"
ANCHORS, ROTATIONS = "anchors.json", "rotations.json"
KEPT_ROTATIONS = 64
"""As many as a hello may show: five times the years of a key's default life."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What stands after a Welcome.

    Attributes:
        identity: what the session goes on with, and the next hello shows.
        error: the disk refused: the old pair is sent again, which the server takes; None when all is written.
    """

    identity: Identity
    error: OSError | None


class IdentityStore:
    """The identity folder of one host. One process at a time (the launcher's lock sees to that)."""

    def __init__(self, folder: Path, ids: IdSource) -> None:
        """Use ``folder``; it is made by the first candidate."""
        self._folder = folder
        self._ids = ids
        self._made = False

    def candidate(self) -> Candidate:
        """Return the key and ratchet to enroll with: those of an unfinished enrolment, else new ones, written first.

        Raises:
            AgentError: DISK_FULL or INTERNAL: the host can't write or read its folder.
        """
        with typed_disk_errors("making this host's key"):
            self._make_folder()
            if not self._has_candidate():
                ratchet = Ratchet(self._ids.token(RATCHET_BYTES), self._ids.token(RATCHET_BYTES))
                fresh = Candidate(self._ids.token(KEY_BYTES), ratchet)
                self._write(CANDIDATE, records.candidate_record(fresh))
                self._made = True
        return records.read_candidate(self._read(CANDIDATE))

    def give_up(self) -> None:
        """Remove the candidate that this object made: it was refused, and nobody knows its key. No more changes.

        One that was there before is kept: an answer to it may have got lost, and then it is who this host is.

        Raises:
            AgentError: DISK_FULL or INTERNAL: it is still there, and does no harm.
        """
        if not self._made:
            return
        with typed_disk_errors("removing a key that was refused"):
            durable_effects.unlink(self._folder / CANDIDATE)
            sync_dir(self._folder)
        self._made = False

    def enrol(self, answer: Enrolment) -> Identity:
        """Take the server's answer to the candidate: from here on this host is that agent.

        Raises:
            AgentError: NOT_FOUND: there is no candidate; DISK_FULL or INTERNAL: nothing is lost, ask again.
        """
        if not (self._folder / CANDIDATE).exists():
            raise AgentError("enrolment: no key asked for it", code=Code.NOT_FOUND, remedy="run enroll again")
        asked = self._read(CANDIDATE)
        self._made = False
        with typed_disk_errors("writing this host's identity"):
            self._write(CANDIDATE, {**asked, "answer": records.enrolment_record(answer)})
        return self.load()

    def is_enrolled(self) -> bool:
        """Tell whether :meth:`load` has something to load, be it damaged.

        A damaged candidate alone makes no agent: nobody can say whether it was ever answered.

        Raises:
            AgentError: INTERNAL: the host can't read its folder.
        """
        if (self._folder / AGENT).exists():
            return True
        try:
            return self._has_answer()
        except DamagedIdentity:
            return False

    def known_agent_id(self) -> str:
        """Return who this host is, for a readmission: from the records that can be believed, empty when none says it.

        An answered enrolment is finished first, where that can be done.

        Raises:
            AgentError: IDENTITY_UNKNOWN: this host was never enrolled; INTERNAL: the disk, not what stands on it.
        """
        try:
            return self.load().enrolment.agent_id
        except DamagedIdentity:
            if not self.is_enrolled():
                raise
        try:
            return str(self._read(AGENT)["agent_id"])
        except (DamagedIdentity, KeyError):
            return ""

    def load(self) -> Identity:
        """Return the identity, after finishing an enrolment that a crash cut short.

        Raises:
            AgentError: IDENTITY_UNKNOWN: this host is not enrolled; INTERNAL: a file is damaged or can't be read.
        """
        if self._has_answer():
            with typed_disk_errors("writing this host's identity"):
                self._spread(self._read(CANDIDATE))
        self._require_enrolled()
        identity = self._loaded()
        if identity.anchors is not None:
            with typed_disk_errors("writing this host's identity"):
                self._bring(identity.anchors)
        return identity

    def peek(self) -> Identity:
        """Return what :meth:`load` would, and change nothing: for whoever only looks. Errors as there."""
        if self._has_answer():
            asked = self._read(CANDIDATE)
            candidate, answer = records.read_candidate(asked), records.read_enrolment(asked["answer"])
            return Identity(answer, Keys(candidate.private_key), candidate.ratchet)
        self._require_enrolled()
        return self._loaded()

    def welcomed(self, identity: Identity, acknowledged_next: bytes, receipt: WelcomeReceipt) -> Kept:
        """Move the ratchet on after a Welcome, and make a pending key that was spoken with the current one.

        MUST be called before anything of the session is used. A disk that refuses is no error: after a failed sync the
        new pair may stand on the disk although the old one is returned, and the server takes either.
        """
        ratchet = on_welcome(identity.ratchet, acknowledged_next, self._ids.token(RATCHET_BYTES))
        keys = on_key_welcomed(identity.keys)
        try:
            if ratchet != identity.ratchet or receipt != identity.receipt:
                self._update(RATCHET, records.ratchet_record(ratchet, receipt))
            if keys != identity.keys:
                self._update(KEY, records.keys_record(keys))
        except OSError as error:
            return Kept(replace(identity, receipt=receipt), error)
        return Kept(replace(identity, ratchet=ratchet, receipt=receipt, keys=keys), None)

    def begin_rotation(self, identity: Identity, began: Began) -> Identity:
        """Write a new key beside the current one, unless one is pending already. Errors as for :meth:`write_keys`."""
        return self.write_keys(identity, propose(identity.keys, self._ids.token(KEY_BYTES), began))

    def keep_rotation(self, identity: Identity, rotation: KeptRotation) -> Identity:
        """Keep a proposal durably, before the server hears of it, beside the ones before it; the same one once.

        Raises:
            AgentError: DISK_FULL or INTERNAL: it must not be sent.
        """
        if rotation in identity.rotations:
            return identity
        kept = (*identity.rotations, rotation)[-KEPT_ROTATIONS:]
        with typed_disk_errors("writing how this host's key was replaced"):
            self._write(ROTATIONS, records.rotations_record(kept))
        return replace(identity, rotations=kept)

    def stamp_key(self, identity: Identity, unix_seconds: float) -> Identity:
        """Write down that the current key's age counts from now. Errors as for :meth:`write_keys`."""
        return self.write_keys(identity, replace(identity.keys, since=unix_seconds))

    def write_keys(self, identity: Identity, keys: Keys) -> Identity:
        """Write ``keys`` and return the identity with them; a new key MUST be written before it is sent.

        Raises:
            AgentError: DISK_FULL or INTERNAL: the key must not be sent.
        """
        with typed_disk_errors("writing this host's key"):
            self._update(KEY, records.keys_record(keys))
        return replace(identity, keys=keys)

    def take_anchors(self, signed: SignedAnchors) -> KeptAnchors:
        """Go by the anchors, which MUST have been verified, from here on; return what is kept of them.

        Cut short, it leaves those before, or these.

        Raises:
            AgentError: DISK_FULL or INTERNAL: this host goes by those before; another try may do.
        """
        kept = following(signed, self._loaded().enrolment.addresses)
        with typed_disk_errors("writing the anchors"):
            self._update(ANCHORS, anchors_record(kept))
            self._bring(kept)
        return kept

    def _bring(self, kept: KeptAnchors) -> None:
        """Bring the other files to the record of the anchors, where they are not; the mark comes first."""
        agent = self._read(AGENT)
        wanted = {**agent, "addresses": list(kept.addresses), MARK: True}
        if agent != wanted:
            self._write(AGENT, wanted)
        path = self._folder / CA
        if not path.is_file() or path.read_bytes() != kept.anchors.ca_pem:
            write_durably(path, kept.anchors.ca_pem)

    def _require_enrolled(self) -> None:
        """Raise IDENTITY_UNKNOWN when nothing says who this host is."""
        if not (self._folder / AGENT).exists():
            remedy = "run: fleetroll-agent enroll <join string>"
            raise AgentError("this host is not enrolled", code=Code.IDENTITY_UNKNOWN, remedy=remedy)

    def _has_candidate(self) -> bool:
        """Tell whether a candidate may ask; one that is damaged is put aside.

        So is one that was answered: it is asked for here only when that answer could not be taken up, and its key is
        the one to be replaced.
        """
        if not (self._folder / CANDIDATE).exists():
            return False
        try:
            found = self._read(CANDIDATE)
            records.read_candidate(found)
            if "answer" not in found:
                return True
        except DamagedIdentity:
            pass
        durable_effects.rename(self._folder / CANDIDATE, free_name(self._folder / f"{CANDIDATE}.damaged"))
        sync_dir(self._folder)
        return False

    def _has_answer(self) -> bool:
        """Tell whether an enrolment was answered and not yet spread over the files."""
        return (self._folder / CANDIDATE).exists() and "answer" in self._read(CANDIDATE)

    def _make_folder(self) -> None:
        """Make the folder, and its name durable."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        sync_dir(self._folder.parent)

    def _spread(self, answered: dict[str, Any]) -> None:
        """Put an answered candidate into the files, the candidate's removal last; the same when it is repeated."""
        asked = records.read_candidate(answered)
        answer = records.read_enrolment(answered["answer"])
        write_durably(self._folder / CA, answer.ca_pem)
        if not self._keeps_root(answer.agent_id):
            write_durably(self._folder / ROOT, answer.root)
        self._write(RECEIPT, records.receipt_record(answer))
        self._write(KEY, records.keys_record(Keys(asked.private_key)))
        self._write(RATCHET, records.ratchet_record(asked.ratchet, None))
        if (self._folder / ROTATIONS).exists():  # of the key before this one: they lead nowhere
            durable_effects.unlink(self._folder / ROTATIONS)
        self._write(AGENT, records.agent_record(answer))
        durable_effects.unlink(self._folder / ANCHORS)
        durable_effects.unlink(self._folder / CANDIDATE)
        sync_dir(self._folder)

    def _keeps_root(self, agent_id: str) -> bool:
        """Tell whether a host that only gets another key has its root: what it has verified since was begun with it.

        A string that is made after a newer root pins that one; the folder of trust would not know it for its own.
        """
        root = self._folder / ROOT
        try:
            return root.is_file() and is_root(root.read_bytes()) and self._read(AGENT).get("agent_id") == agent_id
        except DamagedIdentity:
            return False

    def _loaded(self) -> Identity:
        """Return what the files say."""
        ratchet, receipt = records.read_ratchet(self._read(RATCHET))
        agent, anchors, fault = self._read(AGENT), None, ""
        if agent.get(MARK) is True:
            anchors, fault = self._kept_anchors()
        ca_pem = self._bytes(CA) if anchors is None else anchors.anchors.ca_pem
        check_ca(CA, ca_pem)
        enrolment = records.read_agent(agent, self._read(RECEIPT), ca_pem, self._bytes(ROOT))
        if anchors is not None:
            enrolment = with_anchors(enrolment, anchors)
        keys = records.read_keys(self._read(KEY))
        return Identity(enrolment, keys, ratchet, receipt, anchors, fault, self._rotations())

    def _kept_anchors(self) -> tuple[KeptAnchors | None, str]:
        """Return what the record of the anchors holds; else nothing, and why."""
        try:
            kept = read_anchors_record(self._read(ANCHORS))
        except DamagedIdentity as error:
            return None, error.message
        return kept, "" if kept is not None else f"identity/{ANCHORS}: its fields are not those of anchors"

    def _rotations(self) -> tuple[KeptRotation, ...]:
        """Return the kept replacements of the key; none where they can't be read: nothing depends on them today."""
        try:
            return records.read_rotations(self._read(ROTATIONS))
        except DamagedIdentity:
            return ()

    def _read(self, name: str) -> dict[str, Any]:
        """Return the record ``name``.

        Raises:
            DamagedIdentity: it is damaged or lost, with the way out.
            AgentError: INTERNAL: it can't be read.
        """
        data = self._bytes(name)
        try:
            return load_record(data)
        except DamagedRecord as error:
            alone = name == CANDIDATE and not (self._folder / AGENT).exists()
            raise damaged(name, remedy=ENROLL if alone else READMIT) from error

    def _bytes(self, name: str) -> bytes:
        """Return what stands in the file ``name``. Errors as for :meth:`_read`."""
        try:
            with typed_disk_errors(f"reading identity/{name}"):
                return (self._folder / name).read_bytes()
        except AgentError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise damaged(name, "the file is lost") from error
            raise

    def _write(self, name: str, record: dict[str, Any]) -> None:
        """Write the record ``name`` durably."""
        write_durably(self._folder / name, dump_record(record))

    def _update(self, name: str, record: dict[str, Any]) -> None:
        """Write the record ``name``, keeping fields that another version put there.

        One that can't be read is replaced: what it held is in ``record``.
        """
        try:
            known = self._read(name)
        except AgentError:
            known = {}
        self._write(name, {**known, **record})
