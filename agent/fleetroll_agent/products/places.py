"""Where a product's versions are on this host: its slots, its link, its file."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import ByHand, ProductRecord
from fleetroll_agent.jobs.work import Installed
from fleetroll_agent.products.backup_room import require_backup_room
from fleetroll_agent.products.changes import number_of
from fleetroll_agent.products.folders import held
from fleetroll_agent.products.standing import same_bytes
from fleetroll_agent.products.switching import (
    keep_old,
    leads_to,
    publish_link,
    require_replaceable,
    swap_back,
    swap_in,
)
from fleetroll_agent.settings.product import Kind
from fleetroll_agent.slots import InUse, SlotStore
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.durable import sync_dir
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, TrustError
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Attempt
    from fleetroll_agent.settings.product import Product
    from fleetroll_agent.slots import Slot

_PASSAGE, _OPEN = 0o711, 0o755
LINKS = "current"
"""Folder of the links of products that name none of their own."""


class Places:
    """One product. Every method blocks."""

    def __init__(self, state: Path, product: Product, slots: SlotStore | None = None) -> None:
        """Look after ``product`` below the state folder ``state``."""
        self._state = state
        self._product = product
        self.slots = slots or SlotStore(state, product=product.name, user=product.user or "")

    @property
    def link(self) -> Path:
        """The link to the active version of a product of slots."""
        own = self._product.link
        return self._state / LINKS / self._product.name if own is None else Path(own)

    @property
    def file(self) -> Path:
        """The file that a product of one file is."""
        if self._product.path is None:
            message = "a product of one file was read without its path"
            raise AssertionError(message)
        return Path(self._product.path)

    def slot_path(self, version: str, sha256: str) -> str:
        """Return the folder of a version; empty for none, and for a product of commands, which has none."""
        if not version or self._product.kind is Kind.COMMAND:
            return ""
        return str(self.slots.path(Version.parse(version), sha256))

    def is_fresh(self, record: ProductRecord) -> bool:
        """Tell whether nothing of the product is on this host yet."""
        if self._product.kind is Kind.FILE:
            return not self.file.exists()
        return self._product.kind is Kind.SLOTS and record.current is None

    def require_replaceable(self) -> None:
        """See, before anything is done, that the switch will not refuse what stands in its way.

        A folder that is not there yet, or not open, is no reason: a command may make it.

        Raises:
            AgentError: as the switch would.
        """
        with contextlib.suppress(OSError):
            if self._product.kind is Kind.FILE:
                require_replaceable(self.file)
            elif self._product.link is not None:
                with held(self.link.parent):
                    pass

    def require_backup_room(self) -> None:
        """See whether the backup has room.

        Raises:
            AgentError: DISK_FULL: it has too little.
        """
        require_backup_room(self._state, self._product)

    def switch(self, attempt: Attempt) -> None:
        """Make the attempt's version the active one.

        Raises:
            AgentError, TrustError: its slot is not there, or not as it was signed; or what stands in its way.
        """
        slot = self.checked(attempt.version, attempt.sha256)
        with typed_disk_errors(f"switching {self._product.name}"):
            if self._product.kind is Kind.FILE:
                swap_in(self.file, slot.path / slot.entry, number_of(attempt))
            else:
                self._lead_to(slot.path)

    def switch_back(self, attempt: Attempt, version: str, sha256: str) -> None:
        """Make what was before the attempt the active one again: ``version`` empty = nothing that is known.

        Raises:
            AgentError: the disk, or what stands in the way.
        """
        with typed_disk_errors(f"switching {self._product.name} back"):
            if self._product.kind is Kind.FILE:
                slot = self.slots.get(self.slots.path(Version.parse(attempt.version), attempt.sha256))
                swap = swap_back if attempt.by_hand is ByHand.NOTHING else swap_in
                swap(self.file, slot.path / slot.entry, number_of(attempt))
            else:
                self._lead_to(self.slots.path(Version.parse(version), sha256) if version else None)

    def is_switched(self, version: str, sha256: str) -> bool:
        """Tell whether what the world sees is this version: the health of a product that nothing else is asked of."""
        if not version:
            return True
        path = self.slots.path(Version.parse(version), sha256)
        if self._product.kind is not Kind.FILE:
            return leads_to(self.link, path)
        slot = self.slots.get(path)
        return same_bytes(self.file, slot.path / slot.entry)

    def checked(self, version: str, sha256: str) -> Slot:
        """Return the slot of a version, compared with what was signed.

        Raises:
            AgentError: NOT_FOUND: there is none.
            TrustError: WRONG_HASH: it was changed.
        """
        slot = self.slots.get(self.slots.path(Version.parse(version), sha256))
        drift = self.slots.check(slot.path)
        if not drift.is_clean:
            text = f"the slot changed after it was staged: {drift.summary}"
            raise TrustError(text, code=Code.WRONG_HASH, remedy="find out who changed it", slot=slot.path.name)
        return slot

    def rebuilt(self) -> ProductRecord:
        """Return a record of what lies here, after the product's own was damaged: its newest version that was kept.

        What went on is not known any more, so it counts as broken until something ends well: nothing is removed.
        """
        good = [slot for slot in self.slots.list() if slot.good]
        current = Installed(str(good[-1].version), good[-1].sha256) if good else None
        return ProductRecord(self._product.name, current=current, broken=True)

    def tidy(self, record: ProductRecord) -> None:
        """Mark what was kept, and remove the versions and downloads that nobody needs.

        Raises:
            AgentError: the disk.
        """
        if self._product.kind is Kind.COMMAND or record.broken:
            return
        in_use, attempt = self.in_use(record), record.attempt
        if in_use.current is not None and self.slots.is_complete(in_use.current):
            self.slots.mark_good(in_use.current)
        self.slots.prune(in_use)
        if self._product.kind is Kind.FILE:
            with typed_disk_errors(f"keeping the old {self.file.name}"):
                keep_old(self.file, "" if attempt is None else number_of(attempt))

    def in_use(self, record: ProductRecord) -> InUse:
        """Return the slots that ``record`` needs."""
        current, previous = (
            None if one is None else self.slots.path(Version.parse(one.version), one.sha256)
            for one in (record.current, record.previous)
        )
        attempt = record.attempt
        wanted = attempt is not None and attempt.sha256
        trial = self.slots.path(Version.parse(attempt.version), attempt.sha256) if attempt and wanted else None
        return InUse(current, None, previous, trial)

    def open_way(self) -> None:
        """Let other accounts reach the versions of a product of slots, and nothing else, below the state folder.

        Services seldom run as the agent's own account. What is secret there is closed by its own mode.

        Raises:
            OSError: the disk refused.
        """
        if self._product.kind is not Kind.SLOTS:
            return
        slots = self._state / "slots"
        ways = ((self._state, _PASSAGE), (slots, _PASSAGE), (slots / self._product.name, _OPEN))
        own_link = ((self.link.parent, _OPEN),) if self._product.link is None else ()
        for folder, mode in (*ways, *own_link):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_IMODE(folder.stat().st_mode) != mode:
                    folder.chmod(mode)

    def _lead_to(self, target: Path | None) -> None:
        if self._product.link is None:
            self.link.parent.mkdir(mode=_OPEN, exist_ok=True)
            sync_dir(self.link.parent.parent)  # also where it stood: a process that was killed may have made it
        self.open_way()
        publish_link(self.link, target)


def no_way(step: str) -> AgentError:
    """Return the error for a step that nobody here can do."""
    return AgentError(f"the step {step} has no command", code=Code.STEP_FAILED, remedy="mend agent.toml")
