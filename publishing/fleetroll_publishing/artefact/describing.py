"""What is signed about an artefact: the publisher's words, and the numbers that its bytes have. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import AGENT, ReleaseCustom, target_path
from fleetroll_publishing.artefact.agent import ENTRY_POINT

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_common.values.platform import Platform
    from fleetroll_common.values.version import Version
    from fleetroll_publishing.artefact.inspect import Inspected


@dataclass(frozen=True, slots=True)
class Words:
    """What a publisher says of an artefact; all of it is signed as it is said.

    Attributes:
        product: its name.
        version: semantic version.
        channels: names, sorted, each once.
        platform: what the artefact runs on.
        git_sha: commit, ``+dirty`` behind it for a dirty tree.
        entry_point: path of the product's first file; empty for the agent, whose is known.
        migrations_required: whether the product's data has to be migrated.
        breaking_changes: text for people; empty for nothing.
        supported_from: hosts below this version are not updated to it; None = all are.
    """

    product: str
    version: Version
    channels: tuple[str, ...]
    platform: Platform
    git_sha: str
    entry_point: str = ""
    migrations_required: bool = False
    breaking_changes: str = ""
    supported_from: Version | None = None

    @property
    def path(self) -> str:
        """Return where the artefact stands among the signed targets."""
        return target_path(self.product, self.version, self.platform)

    @property
    def entry(self) -> str:
        """Return the path of the first file.

        Raises:
            RequestError: it is not said, or another one than the agent's is (publisher's fault).
        """
        if self.product != AGENT and not self.entry_point:
            raise _invalid("entry_point", f"of {self.product} it is not known", "name its first file")
        if self.product == AGENT and self.entry_point not in {"", ENTRY_POINT}:
            what = f"the agent's is {ENTRY_POINT}, not {self.entry_point!r}"
            raise _invalid("entry_point", what, "build it with release build")
        return ENTRY_POINT if self.product == AGENT else self.entry_point


def check_words(words: Words, *, dirty: bool = False) -> None:
    """Refuse what could not be listed whatever the artefact's bytes are.

    Args:
        words: of the publisher.
        dirty: whether a build from a tree with changes is taken.

    Raises:
        RequestError: INVALID_ARGUMENT (publisher's fault).
    """
    if words.version.is_dev or words.version.build:
        raise _invalid("version", f"{words.version} is a build, not a release", "stamp a version without '+'")
    if words.git_sha.endswith("+dirty") and not dirty:
        raise _invalid("git_sha", f"{words.git_sha} has changes that no commit holds", "commit and build again")
    _ = words.entry
    if words.product == AGENT and not words.platform.is_whole:
        what = f"{words.platform} does not name the Python that the agent needs"
        raise _invalid("platform", what, "name all of it, like linux/x86_64/cp311")


def describe_artefact(words: Words, inspected: Inspected, protocol: int, released_at: datetime) -> ReleaseCustom:
    """Return what is signed.

    Args:
        words: of the publisher.
        inspected: what the bytes hold.
        protocol: the stream protocol that the release speaks.
        released_at: aware UTC; whole seconds are kept.

    Raises:
        RequestError: VERSION_MISMATCH: the agent's own stamp says otherwise; INVALID_ARGUMENT (publisher's fault).
    """
    if words.product == AGENT:
        _check_stamp(words, inspected)
    built = inspected.artefact
    return ReleaseCustom(
        product=words.product,
        version=words.version,
        channels=words.channels,
        platform=words.platform,
        git_sha=words.git_sha,
        tar_sha256=built.tar_sha256,
        tar_bytes=built.tar_bytes,
        manifest_sha256=built.manifest_sha256,
        file_count=built.file_count,
        entry_point=built.entry_point,
        protocol=protocol,
        migrations_required=words.migrations_required,
        breaking_changes=words.breaking_changes or None,
        released_at=released_at.replace(microsecond=0),
        supported_from=words.supported_from,
    )


def _check_stamp(words: Words, inspected: Inspected) -> None:
    """Compare what the publisher says with what the build says of itself: hosts compare it, too, after Go."""
    stamp = inspected.stamp
    if stamp is None:
        message = "artefact: it carries no version stamp"
        raise RequestError(message, code=Code.VERSION_MISMATCH, remedy="build it with release build", field="artefact")
    for field, said, built in (
        ("version", str(words.version), str(stamp.version)),
        ("git_sha", words.git_sha, stamp.git_sha),
    ):
        if said != built:
            message = f"{field}: the header says {said}, the build {built}"
            raise RequestError(message, code=Code.VERSION_MISMATCH, remedy="publish it as what it is", field=field)


def _invalid(field: str, what: str, remedy: str) -> RequestError:
    """Return the publisher's error."""
    return RequestError(f"{field}: {what}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=field)
