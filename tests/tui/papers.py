"""What a server answers beside the watch, as messages: releases, their products' rules, keys, the server itself."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fleetroll.v1 import anchors_pb2, keys_pb2, recovery_pb2, releases_pb2, server_info_pb2, types_pb2
from fleetroll_tui.feed import papers as convert_papers
from fleetroll_tui.model.releases import Catalogue
from tests.attacks.words import spoil
from tests.tui.scenes import NOW, decision, stamp

if TYPE_CHECKING:
    from typing import Any

    from fleetroll_tui.model.anchors import Anchors
    from fleetroll_tui.model.recovery import Recovery
    from fleetroll_tui.model.releases import FloorPreview, InUse
    from fleetroll_tui.model.signing import ServerInfo, Signing

DAY = 86_400
MANAGED, OFFLINE = "managed", "offline"
PRODUCTS = {"agent": 12, "shop": 5, "web-proxy": 31}
"""Each with the version of its role."""
NOTES = """# web-proxy 1.5.0

- TLS sessions are **kept** over a restart
- `GET /healthz` answers in 30 s at most

See the handbook, "Caches", before you widen the cache beyond 64 MB.
"""


def digest(words: str) -> bytes:
    return hashlib.sha256(words.encode()).digest()


def artefact(product: str, version: str, arch: str) -> releases_pb2.Artifact:
    return releases_pb2.Artifact(
        platform=types_pb2.Platform(os="linux", arch=arch, abi="cp311" if product == "agent" else "any"),
        path=f"{product}/{version}/linux-{arch}-any.tar.zst",
        length=18_400_000 + len(arch) * 1000,
        sha256=digest(f"{product}{version}{arch}"),
        manifest_sha256=digest(f"manifest {version}"),
    )


def release(product: str, version: str, days: float, state: str = "LISTED", **values: Any) -> releases_pb2.Release:
    facts: dict[str, Any] = {
        "channels": ["canary", "stable"] if state == "LISTED" else [],
        "git_sha": digest(version).hex()[:40],
        "artifacts": [artefact(product, version, arch) for arch in ("x86_64", "aarch64")],
        "published": decision("ana", "quarterly update", at=NOW - days * DAY),
    }
    made = releases_pb2.Release(
        id=f"re-{product}-{version}",
        product=product,
        version=version,
        state=releases_pb2.ReleaseState.Value(f"RELEASE_STATE_{state}"),
        **(facts | values),
    )
    stamp(made, "released_at", NOW - days * DAY)
    return made


def releases() -> list[releases_pb2.Release]:
    return [
        release("agent", "0.9.1", 2, "YANKED", state_reason="does not start where /tmp is mounted noexec"),
        release("agent", "0.9.0", 40),
        release(
            "shop", "2.0.0", 1, channels=["canary"], migrations_required=True, breaking_changes="Carts are emptied."
        ),
        release("shop", "1.9.3", 60, "REVOKED", state_reason="holds a signing key of the payment service"),
        release("web-proxy", "1.5.0", 3, notes=NOTES, supported_from=">=1.4.0"),
        release("web-proxy", "1.4.2", 30, channels=["stable"]),
        release("web-proxy", "1.3.9", 200, "RETIRED", state_reason="old"),
    ]


def policy(product: str) -> releases_pb2.GetProductPolicyResponse:
    made = releases_pb2.GetProductPolicyResponse(role_version=PRODUCTS[product], serial=4)
    if product == "web-proxy":
        made.floor = "1.4.0"
        made.intermediates.append("1.4.2")
    for each in releases():
        if each.product == product and each.state != releases_pb2.RELEASE_STATE_LISTED:
            withdrawn = made.withdrawn.add(version=each.version, state=each.state, reason=each.state_reason)
            if each.state == releases_pb2.RELEASE_STATE_REVOKED:
                withdrawn.sha256 = each.artifacts[0].sha256
    return made


def products(later: int = 0) -> list[releases_pb2.Product]:
    found = []
    for name, version in PRODUCTS.items():
        made = releases_pb2.Product(name=name, role_version=version + later, releases=2)
        stamp(made, "expires_at", NOW + 300 * DAY)
        found.append(made)
    return found


ROLES = {
    "root": (300, 3, 400, False),
    "targets": (300, 1, 400, True),
    "products/agent": (300, 1, 400, True),
    "products/shop": (21, 1, 400, True),
    "products/web-proxy": (52, 1, 160, True),
    "snapshot": (6, 1, 90, True),
    "timestamp": (0.95, 1, 90, True),
}
"""Each role: days until it ends, its keys, their age in days, whether the server holds them when it signs itself."""


def key_status(mode: str = MANAGED, ends: dict[str, float] | None = None) -> keys_pb2.GetKeyStatusResponse:
    made = keys_pb2.GetKeyStatusResponse(signing_mode=mode)
    for name, (days, keys, age, managed) in ROLES.items():
        role = made.roles.add(role=name, version=PRODUCTS.get(name.partition("/")[2], 3), threshold=(keys + 1) // 2)
        stamp(role, "expires_at", NOW + (ends or {}).get(name, days) * DAY)
        held = name in {"snapshot", "timestamp"} or (managed and mode == MANAGED)
        for number in range(keys):
            key = role.keys.add(key_id=digest(f"{number}{name}").hex(), public_key=digest(name), held_here=held)
            stamp(key, "since", NOW - age * DAY)
            stamp(key, "rotate_after", NOW + ((180 if held else 730) - age) * DAY)
            key.old = held and age > 180
    return made


def server_info(mode: str = MANAGED) -> server_info_pb2.GetServerInfoResponse:
    made = server_info_pb2.GetServerInfoResponse(
        version="0.4.0",
        git_sha=digest("server").hex()[:40],
        schema_revision="0014",
        protocol_min=1,
        protocol_max=2,
        signing_mode=mode,
    )
    stamp(made, "time", NOW)
    return made


def catalogue(words: str = "", version: int = 0) -> Catalogue:
    """The list; with ``words``, every text of it spoilt by them; of a later ``version`` of each role."""
    said = releases_pb2.ListReleasesResponse(releases=releases())
    ruled = [policy(name) for name in PRODUCTS]
    listed = releases_pb2.ListProductsResponse(products=products(version))
    if words:
        for each in (said, *ruled, listed):
            spoil(each, words)
    return Catalogue(
        tuple(convert_papers.release(each) for each in said.releases),
        {each.name: convert_papers.product(each) for each in listed.products},
        {each.name: convert_papers.policy(rule) for each, rule in zip(listed.products, ruled, strict=True)},
    )


def in_use(words: str = "") -> dict[str, InUse]:
    answer = releases_pb2.ListInUseResponse(
        releases=[
            releases_pb2.InUse(version="1.4.2", running=23, previous=24, intermediate=True),
            releases_pb2.InUse(version="1.5.0", running=24, wanted=24),
        ]
    )
    if words:
        spoil(answer, words)
    return convert_papers.in_use(answer)


def floor(words: str = "") -> FloorPreview:
    answer = releases_pb2.PreviewFloorResponse(below=24, stranded=2)
    for number in (40, 41):
        answer.hosts.add(
            agent_id=f"ag-{number:05}",
            name=f"edge-{number:05}.ams",
            version="1.3.9",
            message="1.5.0 can't be updated to from 1.3.9: it takes >=1.4.0",
        )
    if words:
        spoil(answer, words)
    return convert_papers.floor_preview(answer)


def recovery(seen: int = 12, words: str = "") -> Recovery:
    answer = recovery_pb2.Recovery(
        active=True,
        cause=recovery_pb2.RECOVERY_CAUSE_RESTORED,
        incarnation="in-2",
        hosts_known=48,
        hosts_seen=seen,
        hosts_not_seen=48 - seen,
        unconfirmed=3,
        suspended_tokens=2,
    )
    for field, at in (("since", NOW - 900), ("taken_at", NOW - 4500), ("blind_from", NOW - 4500)):
        stamp(answer, field, at)
    for number in range(5):
        host = answer.younger.add(agent_id=f"ag-9{number:04}", name=f"edge-9{number:04}.ams", fleet_id="eu-edge")
        stamp(host, "came_at", NOW - 60 * number - 30)
    if words:
        spoil(answer, words)
    return convert_papers.recovery(answer)


def anchors(words: str = "") -> Anchors:
    answer = anchors_pb2.AnchorsState(
        serial=3,
        addresses=["fleet.example:8443", "fleet-2.example:8443"],
        leaf_fingerprint=digest("leaf").hex(),
        reported=[anchors_pb2.ReportedSerial(serial=3, hosts=40), anchors_pb2.ReportedSerial(serial=2, hosts=8)],
        signs_here=True,
    )
    stamp(answer, "leaf_expires_at", NOW + 61 * DAY)
    for role, days, listed in (("OLD", 7000, True), ("CURRENT", 7300, True), ("NEXT", 7301, False)):
        value = anchors_pb2.AuthorityRole.Value(f"AUTHORITY_ROLE_{role}")
        one = answer.authorities.add(fingerprint=digest(role).hex(), role=value, listed=listed)
        stamp(one, "expires_at", NOW + days * DAY)
    if words:
        spoil(answer, words)
    return convert_papers.anchors(answer)


def signing(mode: str = MANAGED, ends: dict[str, float] | None = None, words: str = "") -> Signing:
    answer = key_status(mode, ends)
    if words:
        answer.readable_root_keys.append("/root/root-1.key")
        spoil(answer, words)
    return convert_papers.signing(answer)


def info(mode: str = MANAGED, words: str = "") -> ServerInfo:
    answer = server_info(mode)
    if words:
        spoil(answer, words)
    return convert_papers.server_info(answer)


def spoilt(words: str) -> dict[str, Any]:
    """Everything that a server answers beside the watch, every text of it spoilt."""
    return {
        "catalogue": catalogue(words),
        "in_use": in_use(words),
        "floor": floor(words),
        "signing": signing(ends={"products/shop": -1, "targets": 3}, words=words),
        "server_info": info(words=words),
        "anchors": anchors(words),
        "recovery": recovery(words=words),
    }
