"""Builds artefacts and keeps beside each a small description, so that publishing needs no second set of options."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact.agent import PRODUCT, build_agent_artefact
from fleetroll_publishing.artefact.commit import read_commit

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.platform import Platform

DESCRIPTION_SUFFIX = ".json"
_FIELDS = ("product", "version", "platform", "git_sha")


def build_release(version_text: str, platform: Platform, out: Path, *, source: Path, level: int) -> Path:
    """Build the agent's artefact in ``out`` and describe it beside it; return the artefact's path.

    Raises:
        RequestError: the version, the platform, the source or the level can't be used (caller's fault).
    """
    version = Version.parse(version_text)
    if version.is_dev:
        message = f"version: {version} is what unstamped builds are called"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name a release's version", field="version")
    commit = read_commit(source)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{PRODUCT}-{version}-{platform}.tar.zst"
    build_agent_artefact(
        path, version, commit.git_sha, platform, source=source, built_at=commit.committed_at, level=level
    )
    about = {"product": PRODUCT, "version": str(version), "platform": str(platform), "git_sha": commit.git_sha}
    description_of(path).write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def description_of(artefact: Path) -> Path:
    """Return the path of an artefact's description."""
    return artefact.with_name(artefact.name + DESCRIPTION_SUFFIX)


def read_description(artefact: Path) -> dict[str, str]:
    """Return product, version, platform and git_sha of an artefact.

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
        return {field: str(about[field]) for field in _FIELDS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"artefact: its description {path} can't be read"
        remedy = "build it with `fleetroll release build`"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="artefact") from error
