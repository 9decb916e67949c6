"""``python -m fleetroll_publishing.artefact agent --version X --out DIR``: the agent of this source tree, stamped."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact.agent import PRODUCT, build_agent_artefact
from fleetroll_publishing.artefact.build import FAST_LEVEL, RELEASE_LEVEL
from fleetroll_publishing.artefact.commit import read_commit

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and print one JSON line about the result; 1 and a sentence when it can't be done."""
    parser = argparse.ArgumentParser(prog="artefact", description="Build a deterministic artefact.")
    commands = parser.add_subparsers(required=True)
    agent = commands.add_parser("agent", help="the agent itself, of a source tree")
    agent.add_argument("--version", required=True, help="semantic version to stamp into it")
    agent.add_argument("--out", type=Path, required=True, help="folder for the artefact; made when it is missing")
    agent.add_argument("--source", type=Path, default=Path(), help="root of the source tree (default: here)")
    agent.add_argument("--fast", action="store_true", help="compress lightly, for trials")
    chosen = parser.parse_args(arguments)
    try:
        sys.stdout.write(json.dumps(_build_agent(chosen), sort_keys=True) + "\n")
    except FleetrollError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _build_agent(chosen: argparse.Namespace) -> dict[str, object]:
    """Build the agent; return the facts to print."""
    version, platform = Version.parse(chosen.version), Platform.current()
    if version.is_dev:
        message = f"version: {version} is what unstamped builds are called"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name a release's version", field="version")
    commit = read_commit(chosen.source)
    chosen.out.mkdir(parents=True, exist_ok=True)
    built = build_agent_artefact(
        chosen.out / f"{PRODUCT}-{version}-{platform}.tar.zst",
        version,
        commit.git_sha,
        platform,
        source=chosen.source,
        built_at=commit.committed_at,
        level=FAST_LEVEL if chosen.fast else RELEASE_LEVEL,
    )
    return {
        "path": str(built.path),
        "version": str(version),
        "git_sha": commit.git_sha,
        "platform": str(platform),
        "sha256": built.artefact_sha256,
        "bytes": built.artefact_bytes,
        "files": built.file_count,
    }


if __name__ == "__main__":
    sys.exit(main())
