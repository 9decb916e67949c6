"""Builds artefacts and keeps beside each a small description, so that publishing needs no second set of options."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import TargetKind, check_git_sha, check_product
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact.agent import ENTRY_POINT, PRODUCT, build_agent_artefact
from fleetroll_publishing.artefact.commit import read_commit
from fleetroll_publishing.artefact.product import build_product_artefact

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION_SUFFIX = ".json"
_FIELDS = ("product", "version", "platform", "git_sha")
_LATER_FIELDS = ("entry_point",)
"""What descriptions of older builds don't have."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be built.

    Attributes:
        product: its name.
        version: semantic version.
        platform: what it runs on; empty for this machine, where that says enough.
        git_sha: of the source; empty where its repository tells it.
        entry_point: path of the product's first file; empty where there is no choice.
        level: of compression, 1 to 19.
    """

    product: str
    version: str
    platform: str
    git_sha: str
    entry_point: str
    level: int


def build_release(wish: Wish, out: Path, *, path: Path | None, source: Path) -> Path:
    """Build an artefact in ``out`` and describe it beside it; return the artefact's path.

    Args:
        wish: what is to be built.
        out: the folder for it; made where it is not there.
        path: what a product consists of; None for the agent.
        source: root of the source tree that the agent is built from.

    Raises:
        RequestError: the version, the platform, the source or the level can't be used (caller's fault).
    """
    version = Version.parse(wish.version)
    if version.is_dev:
        message = f"version: {version} is what unstamped builds are called"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name a release's version", field="version")
    check_product(wish.product)
    if path is None:
        return _build_agent(wish, version, out, source)
    return _build_product(wish, version, out, path)


def _build_agent(wish: Wish, version: Version, out: Path, source: Path) -> Path:
    """Build the agent; its source tree says everything else."""
    if wish.product != PRODUCT:
        message = f"path: what {wish.product} consists of is not said"
        raise _invalid("path", message, "name its folder or file at the end")
    for field, given in (("entry", wish.entry_point), ("git_sha", wish.git_sha)):
        if given:
            message = f"{field}: the agent's is known"
            raise _invalid(field, message, "leave it out, or name a product and its folder")
    platform = Platform.parse(wish.platform) if wish.platform else Platform.current()
    commit = read_commit(source)
    artefact = _place(out, wish.product, version, platform)
    build_agent_artefact(
        artefact, version, commit.git_sha, platform, source=source, built_at=commit.committed_at, level=wish.level
    )
    return _described(artefact, wish.product, version, platform, commit.git_sha, ENTRY_POINT)


def _build_product(wish: Wish, version: Version, out: Path, path: Path) -> Path:
    """Build a product of what is at ``path``."""
    if wish.product == PRODUCT:
        message = f"product: the {PRODUCT} is built from its source tree, not from {path}"
        raise _invalid("product", message, "name the product with --product, or leave the path out")
    if not wish.platform:
        message = f"platform: what {wish.product} runs on is not said"
        raise _invalid("platform", message, "write it like linux/x86_64, linux/x86_64/cp311, linux/any or any")
    platform, git_sha = Platform.parse(wish.platform), _commit_of(path, wish.git_sha)
    artefact = _place(out, wish.product, version, platform)
    built = build_product_artefact(path, artefact, entry_point=wish.entry_point, level=wish.level)
    return _described(artefact, wish.product, version, platform, git_sha, built.entry_point)


def _commit_of(path: Path, given: str) -> str:
    """Return the commit that is given, else that of the repository in which ``path`` lies."""
    if given:
        return check_git_sha(given)
    try:
        return read_commit(path if path.is_dir() else path.parent).git_sha
    except RequestError as error:
        message = f"git_sha: {path} lies in no repository that tells its commit"
        raise _invalid("git_sha", message, "name the commit with --git-sha") from error


def _place(out: Path, product: str, version: Version, platform: Platform) -> Path:
    """Return where an artefact goes."""
    out.mkdir(parents=True, exist_ok=True)
    return out / f"{product}-{version}-{platform}.tar.zst"


def _described(
    artefact: Path, product: str, version: Version, platform: Platform, git_sha: str, entry_point: str
) -> Path:
    """Write the description beside an artefact; return the artefact's path."""
    about = {
        "product": product,
        "version": str(version),
        "platform": str(platform),
        "git_sha": git_sha,
        "entry_point": entry_point,
        "kind": TargetKind.ARTEFACT.value,
    }
    description_of(artefact).write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return artefact


def description_of(artefact: Path) -> Path:
    """Return the path of an artefact's description."""
    return artefact.with_name(artefact.name + DESCRIPTION_SUFFIX)


def read_description(artefact: Path) -> dict[str, str]:
    """Return product, version, platform, git_sha and entry_point of an artefact; the last is empty in old ones.

    Raises:
        RequestError: there is no description beside the artefact, or it can't be read (caller's fault).
    """
    try:
        path = description_of(artefact)
    except ValueError as error:  # "." and "/" have no name
        message, remedy = f"artefact: {str(artefact)!r} is no file's name", "name what `fleetroll release build` made"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="artefact") from error
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        needed = {field: str(about[field]) for field in _FIELDS}
        return needed | {field: str(about.get(field, "")) for field in _LATER_FIELDS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"artefact: its description {path} can't be read"
        remedy = "build it with `fleetroll release build`"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="artefact") from error


def _invalid(field: str, message: str, remedy: str) -> RequestError:
    """Return the caller's error."""
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field=field)
