"""What verbs would change of a product's role, in lines: for whoever looks before anything is signed or sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fleetroll_cli.output import say
from fleetroll_publishing.policies import policy_of, releases_in, withdrawn_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleetroll_common.trust.library import TargetFile, Targets


def differences(product: str, before: Targets, after: Targets) -> list[str]:
    """Return a line for everything that ``after`` says otherwise than ``before``."""
    return [*_listed(product, before, after), *_ruled(product, before, after)]


def tell(product: str, before: Targets, after: Targets, *, as_json: bool) -> None:
    """Print what would change; nothing was."""
    lines = differences(product, before, after)
    if as_json:
        said = {"dry_run": True, "product": product, "role_version": after.version, "changes": lines}
        say(json.dumps(said, sort_keys=True))
        return
    for line in lines:
        say(f"would {line}")
    say(f"{product}: would be role version {after.version}; nothing was sent")


def _listed(product: str, before: Targets, after: Targets) -> Iterator[str]:
    """Yield what happens to releases."""
    old, new = releases_in(before), releases_in(after)
    for version, targets in new.items():
        if version not in old:
            yield f"list {product} {version} in {_channels(targets)}"
        elif _channels(targets) != _channels(old[version]):
            yield f"move {product} {version} from {_channels(old[version])} to {_channels(targets)}"
    for version in old:
        if version not in new:
            yield f"take {product} {version} off the list"


def _ruled(product: str, before: Targets, after: Targets) -> Iterator[str]:
    """Yield what happens to the policy."""
    old, new = policy_of(product, before), policy_of(product, after)
    if new is None:
        return
    stood = withdrawn_in(old)
    for version, ruling in withdrawn_in(new).items():
        if stood.get(version) != ruling:
            yield f"rule {product} {version} {ruling.how.value}: {ruling.reason}"
    known = {one.sha256 for one in old.revoked} if old is not None else set()
    for one in new.revoked:
        if one.sha256 not in known:
            yield f"revoke {one.sha256}, an artefact of {product} {one.version}"
    if new.floor != (old.floor if old is not None else None):
        yield f"set the floor of {product} to {new.floor or 'none'}"
    if new.intermediates != (old.intermediates if old is not None else ()):
        yield f"set the intermediates of {product} to {', '.join(map(str, new.intermediates)) or 'none'}"


def _channels(targets: Sequence[TargetFile]) -> str:
    """Return the channels of a release, joined."""
    return ", ".join(sorted({name for target in targets for name in (target.custom or {}).get("channels", ())}))
