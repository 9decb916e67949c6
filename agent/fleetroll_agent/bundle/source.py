"""A signed repository beside the server's: what it lists for this host, by the host's own trust."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from fleetroll_agent.bundle.choosing import Wish, choose
from fleetroll_agent.jobs.artefacts import absent
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.fetch import NamedSource
    from fleetroll_agent.jobs.artefacts import Found
    from fleetroll_common.trust import MetadataSource, Offered, TrustClient


@dataclass(frozen=True, slots=True)
class Source:
    """A bundle or a mirror. Made by :func:`~fleetroll_agent.bundle.opening.open_source`.

    Attributes:
        name: as it was typed.
        metadata: where signed files come from.
        targets: where the bytes of artefacts come from; they are believed when their hash is the signed one.
        holds: tells whether the bytes of a target's path are there, as far as that is known.
        is_bundle: whether the expiry of timestamp and snapshot is waived.
    """

    name: str
    metadata: MetadataSource
    targets: NamedSource
    holds: Callable[[str], bool]
    is_bundle: bool

    async def find(
        self, trust: TrustClient, product: str, version: str | None = None, channels: tuple[str, ...] | None = None
    ) -> tuple[Found, tuple[str, ...]]:
        """Return what to install, and the roles whose expiry was waived to say so.

        The caller MUST say the latter in its output and write it into its journal; and it MUST hold what was found
        against the host's own rules (channels, pin, floor), as for any release.

        Args:
            trust: the host's; what the source brings is kept there as after a refresh.
            product: its name.
            version: the one that is wanted; None = the newest for this host that is listed, and held by a bundle.
            channels: without a version, the release is in one of these; None = in any.

        Raises:
            RequestError: ``product`` or ``version`` is none (caller's fault); NO_ARTIFACT: the source holds nothing of
                it for this host.
            TrustError: the source can't be trusted, or is older than what this host has; NOT_LISTED.
            AgentError: DOWNLOAD_FAILED: a mirror that can't be read now; this host's disk.
        """
        wish = Wish(product, None if version is None else Version.parse(version), channels, Platform.current())
        return await in_thread(partial(self._find, trust, wish))

    def listed(self, trust: TrustClient, product: str) -> Offered:
        """Return what is listed of ``product`` and there, as far as that is known, newest first; and what was waived.

        For whoever chooses by rules of its own. Blocks; what the source brings is kept as by :meth:`find`.

        Raises:
            RequestError, TrustError, AgentError: as for :meth:`find`, but for what can't be chosen.
        """
        offered = self._offered(trust, product)
        return replace(offered, targets=tuple(target for target in offered.targets if self.holds(target.path)))

    def _find(self, trust: TrustClient, wish: Wish) -> tuple[Found, tuple[str, ...]]:
        offered = self._offered(trust, wish.product)
        listed = {target.path for target in offered.targets}
        if wish.version is not None and not listed & {*(paths := wish.paths(wish.version))}:
            raise absent(offered, wish.product, wish.version, paths[-1])
        found = choose(offered.targets, wish, self.holds, self.name)
        return replace(found, policy=offered.policy), offered.waived

    def _offered(self, trust: TrustClient, product: str) -> Offered:
        """Return what is listed; where it is older than what the host has, say what helps against that."""
        try:
            return trust.offered(self.metadata, product, bundle=self.is_bundle)
        except TrustError as error:
            if error.code is not Code.METADATA_ROLLBACK:
                raise
            kind = "make the bundle anew" if self.is_bundle else "update the mirror"
            remedy = f"{kind} from the server; what runs goes on running"
            raise TrustError(error.message, code=error.code, remedy=remedy, **error.details) from error
