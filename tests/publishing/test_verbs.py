"""Verbs of a publisher: what each makes of a product's list and policy, and that the gate takes what they make."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetroll_common.trust.library import TargetFile, Targets
from fleetroll_common.trust.listing import read_listing, read_policy
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_common.values.product_policy import ProductPolicy, policy_path
from fleetroll_common.values.version import Version
from fleetroll_publishing import repository as building
from fleetroll_publishing.gate import check_product
from fleetroll_publishing.policies import policy_bytes, policy_of, policy_target, releases_in
from fleetroll_publishing.roles import read_repository
from fleetroll_publishing.verbs import (
    Change,
    Publish,
    Retire,
    Revoke,
    SetChannels,
    SetFloor,
    SetIntermediates,
    Yank,
    changed_role,
    sign_product,
    too_old,
)
from tests.faults.repositories import START, Repository, entry, path_of, role_signers, signer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

V = Version.parse
SIGNERS = role_signers()
WHY = "it eats the disk"
SHOWN = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]


def stocked() -> dict[str, bytes]:
    """A repository with four releases."""
    repository = Repository()
    for version in SHOWN[1:]:
        additions = {path_of(version): entry(version, channels=["beta"])}
        repository.files |= building.publish_targets(repository.files, "agent", additions, SIGNERS, START)
    return repository.files


FILES = stocked()
ROLE = read_repository(FILES).product("agent")
DIGEST = ROLE.targets[path_of("1.2.0")].hashes["sha256"]


def after(*changes: Change, files: Mapping[str, bytes] = FILES) -> dict[str, bytes]:
    """Return the repository after verbs, each list of them sealed as a whole."""
    return {**files, **building.change_product(files, "agent", changes, SIGNERS, START)}


def role_of(files: Mapping[str, bytes]) -> Targets:
    return read_repository(files).product("agent")


def ruled(files: Mapping[str, bytes]) -> ProductPolicy:
    policy = policy_of("agent", role_of(files))
    assert policy is not None
    return policy


def listed(files: Mapping[str, bytes]) -> list[str]:
    return sorted(str(version) for version in releases_in(role_of(files)))


def refused(*changes: Change, files: Mapping[str, bytes] = FILES) -> RequestError:
    before = dict(files)
    with pytest.raises(RequestError) as caught:
        after(*changes, files=files)
    assert before == files
    return caught.value


@pytest.mark.parametrize("verb", [Yank, Retire, Revoke])
def test_what_is_taken_back_leaves_the_list_and_its_reason_stays(verb: Any) -> None:
    files = after(verb(V("1.2.0"), WHY))
    assert listed(files) == ["1.0.0", "1.1.0", "1.3.0"]
    policy = ruled(files)
    assert policy.serial == 1
    said = {
        Yank: policy.yanked_why(V("1.2.0")),
        Retire: policy.retired_why(V("1.2.0")),
        Revoke: policy.revoked_why(DIGEST),
    }
    assert said == {kind: WHY if kind is verb else "" for kind in said}
    assert ROLE.version + 1 == role_of(files).version


@pytest.mark.parametrize("verb", [Yank, Retire, Revoke])
def test_a_withdrawn_version_is_not_published_again(verb: Any) -> None:
    """Not its own bytes, no others, and no other platform of it."""
    files = after(verb(V("1.2.0"), WHY))
    for path in (path_of("1.2.0"), "agent/1.2.0/linux-arm64-cp311.tar.zst"):
        error = refused(Publish({path: entry("1.2.0")}), files=files)
        assert error.code is Code.CONFLICT
        assert WHY in error.message
        with pytest.raises(RequestError, match=r"is (yanked|retired|revoked)"):
            building.publish_targets(files, "agent", {path: entry("1.2.0")}, SIGNERS, START)


def test_promotion_changes_the_channels_and_nothing_else() -> None:
    files = after(SetChannels(V("1.2.0"), ("stable", "beta", "stable")))
    targets = role_of(files).targets
    assert targets[path_of("1.2.0")].custom == {
        **(ROLE.targets[path_of("1.2.0")].custom or {}),
        "channels": ["beta", "stable"],
    }
    assert policy_path("agent") not in targets
    assert {path: one for path, one in targets.items() if "1.2.0" not in path} == {
        path: one for path, one in ROLE.targets.items() if "1.2.0" not in path
    }


def test_the_serial_rises_by_one_for_each_role_that_changes_the_policy() -> None:
    files = after(Yank(V("1.2.0"), WHY), SetFloor(V("1.0.0")), SetIntermediates((V("1.3.0"), V("1.1.0"))))
    assert ruled(files).serial == 1
    assert ruled(files).intermediates == (V("1.1.0"), V("1.3.0"))
    files = after(SetChannels(V("1.3.0"), ("stable",)), files=files)
    assert ruled(files).serial == 1
    files = after(SetFloor(None), files=files)
    assert (ruled(files).serial, ruled(files).floor) == (2, None)


def test_the_policys_file_is_its_canonical_json() -> None:
    files = after(SetFloor(V("1.1.0")))
    target = role_of(files).targets[policy_path("agent")]
    data = policy_bytes(ruled(files))
    assert (target.length, target.custom) == (len(data), json.loads(data))
    repository = read_repository(files)
    listing = read_listing("agent", repository.product("agent"), repository.delegation("agent"))
    assert read_policy("agent", listing) == ruled(files)


def test_a_yanked_release_can_be_revoked_when_its_digests_are_named() -> None:
    """It turned out worse than bad; the role has the digests no more."""
    files = after(Yank(V("1.2.0"), WHY))
    assert refused(Revoke(V("1.2.0"), "stolen key"), files=files).details["field"] == "sha256s"
    good = role_of(files).targets[path_of("1.3.0")].hashes["sha256"]
    assert "another version" in refused(Revoke(V("1.2.0"), "stolen key", (good,)), files=files).message
    files = after(Revoke(V("1.2.0"), "stolen key", (DIGEST,)), files=files)
    assert (ruled(files).revoked_why(DIGEST), ruled(files).yanked_why(V("1.2.0"))) == ("stolen key", WHY)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([Yank(V("9.9.9"), WHY)], Code.NOT_FOUND),
        ([Retire(V("9.9.9"), WHY)], Code.NOT_FOUND),
        ([Revoke(V("9.9.9"), WHY, ("a" * 64,))], Code.NOT_FOUND),
        ([SetChannels(V("9.9.9"), ("beta",))], Code.NOT_FOUND),
        ([SetIntermediates((V("9.9.9"),))], Code.NOT_FOUND),
        ([Yank(V("1.2.0"), WHY), Yank(V("1.2.0"), "again")], Code.ALREADY_EXISTS),
        ([Revoke(V("1.2.0"), WHY), Revoke(V("1.2.0"), WHY, (DIGEST,))], Code.ALREADY_EXISTS),
        ([Yank(V("1.2.0"), WHY), SetChannels(V("1.2.0"), ("beta",))], Code.NOT_FOUND),
        ([Yank(V("1.2.0"), WHY), Retire(V("1.2.0"), WHY)], Code.NOT_FOUND),
        ([Yank(V("1.2.0"), "")], Code.INVALID_ARGUMENT),
        ([Yank(V("1.2.0"), "x" * 4097)], Code.INVALID_ARGUMENT),
        ([Revoke(V("1.2.0"), WHY, ("a" * 64,))], Code.INVALID_ARGUMENT),
        ([SetChannels(V("1.2.0"), ())], Code.INVALID_ARGUMENT),
        ([SetChannels(V("1.2.0"), ("Not A Name",))], Code.INVALID_ARGUMENT),
        ([SetChannels(V("1.2.0"), ("beta",))], Code.ALREADY_EXISTS),
        ([SetFloor(None)], Code.ALREADY_EXISTS),
        ([], Code.ALREADY_EXISTS),
        ([Publish({})], Code.INVALID_ARGUMENT),
        ([Publish({policy_path("agent"): entry("1.2.0")})], Code.INVALID_ARGUMENT),
        ([Publish({path_of("2.0.0"): entry("2.0.0")}), Yank(V("2.0.0"), WHY)], Code.INVALID_ARGUMENT),
        ([SetIntermediates((V("1.2.0"),)), Retire(V("1.2.0"), WHY)], Code.CONFLICT),
        ([SetIntermediates((V("1.2.0"),)), Yank(V("1.2.0"), WHY)], Code.INVALID_ARGUMENT),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_changes_nothing(changes: Sequence[Change], code: Code) -> None:
    assert refused(*changes).code is code


def test_an_intermediate_that_is_bad_is_yanked_and_stays_one() -> None:
    """Hosts below it wait for another one; they never jump over it."""
    files = after(Yank(V("1.2.0"), WHY), files=after(SetIntermediates((V("1.2.0"),))))
    assert ruled(files).intermediates == (V("1.2.0"),)


def test_old_releases_are_those_beyond_the_newest_that_nobody_needs() -> None:
    assert too_old("agent", ROLE, (), kept=2) == (V("1.0.0"), V("1.1.0"))
    assert too_old("agent", ROLE, (V("1.0.0"),), kept=2) == (V("1.1.0"),)
    files = after(SetIntermediates((V("1.1.0"),)))
    assert too_old("agent", role_of(files), (), kept=1) == (V("1.0.0"), V("1.2.0"))
    assert too_old("agent", ROLE, ()) == ()


def test_a_change_is_drawn_without_touching_the_role_before() -> None:
    before = ROLE.to_dict()
    changed_role("agent", ROLE, [Yank(V("1.2.0"), WHY), SetChannels(V("1.1.0"), ("x",))])
    assert ROLE.to_dict() == before


# Whatever publishers do, the gate takes it; whatever else is done to the list, it does not.

VERSIONS = [V(text) for text in (*SHOWN, "2.0.0", "2.1.0")]


def _publish(version: Version) -> Publish:
    return Publish({path_of(str(version)): entry(str(version), channels=["beta"])})


VERBS: st.SearchStrategy[Change] = st.one_of(
    st.builds(_publish, st.sampled_from(VERSIONS)),
    st.builds(SetChannels, st.sampled_from(VERSIONS), st.sampled_from([("beta",), ("beta", "stable")])),
    *(st.builds(verb, st.sampled_from(VERSIONS), st.just(WHY)) for verb in (Yank, Retire, Revoke)),
    st.builds(Revoke, st.sampled_from(VERSIONS), st.just(WHY), st.just((DIGEST,))),
    st.builds(SetFloor, st.sampled_from([None, *VERSIONS])),
    st.builds(SetIntermediates, st.lists(st.sampled_from(VERSIONS), max_size=3).map(tuple)),
)


def _walk(steps: Sequence[Sequence[Change]]) -> tuple[dict[str, bytes], int]:
    """Take lists of verbs one after the other; return the repository, and how many were taken."""
    files, taken = dict(FILES), 0
    for changes in steps:
        try:
            role = changed_role("agent", role_of(files), changes)
        except RequestError:
            continue
        candidate = sign_product(role, [signer("products/agent")], START)
        files |= building.seal_product(files, "agent", candidate, SIGNERS, START)
        taken += 1
    return files, taken


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(VERBS, min_size=1, max_size=3), max_size=6))
def test_any_sequence_of_verbs_passes_the_gate(steps: Sequence[Sequence[Change]]) -> None:
    files, taken = _walk(steps)
    role, policy = role_of(files), policy_of("agent", role_of(files))
    assert role.version == ROLE.version + taken
    gone = {V(text) for text in SHOWN} - set(releases_in(role))
    rulings = (
        {one.version for one in (*policy.yanked, *policy.retired)} | {one.version for one in policy.revoked}
        if policy
        else set()
    )
    assert gone <= rulings, "what is gone was ruled out"
    assert not rulings & set(releases_in(role)), "what was ruled out is gone"


def drop_target(role: Targets) -> None:
    del role.targets[min(path for path in role.targets if path != policy_path("agent"))]


def drop_policy(role: Targets) -> None:
    del role.targets[policy_path("agent")]


def _bend(role: Targets, change: Callable[[dict[str, Any]], None], serial: int = 1) -> None:
    """Exchange the policy for a bent one, which is well made in itself."""
    document = ProductPolicy.from_json(role.targets[policy_path("agent")].custom or {}).to_json()
    change(document)
    document["serial"] += serial
    role.targets[policy_path("agent")] = policy_target(ProductPolicy.from_json(document))


def drop_ruling(role: Targets) -> None:
    _bend(role, lambda document: document["yanked"].pop())


def drop_revoked(role: Targets) -> None:
    _bend(role, lambda document: document["revoked"].pop())


def reword(role: Targets) -> None:
    _bend(role, lambda document: document["yanked"][0].update(reason="nothing, really"))


def keep_serial(role: Targets) -> None:
    _bend(role, lambda document: document.update(floor="1.0.0"), serial=0)


def jump_serial(role: Targets) -> None:
    _bend(role, lambda document: document.update(floor="1.0.0"), serial=2)


def idle_serial(role: Targets) -> None:
    _bend(role, lambda _: None)


def rule_about_the_unknown(role: Targets) -> None:
    _bend(role, lambda document: document["yanked"].append({"version": "7.0.0", "reason": "x"}))


def list_the_yanked(role: Targets) -> None:
    role.targets[path_of("1.1.0")] = ROLE.targets[path_of("1.1.0")]


def list_the_revoked_under_another_name(role: Targets) -> None:
    role.targets[path_of("5.0.0")] = TargetFile(1000, {"sha256": DIGEST}, path_of("5.0.0"))


def revoke_a_stranger(role: Targets) -> None:
    _bend(role, lambda document: document["revoked"].append({"sha256": "b" * 64, "version": "1.3.0", "reason": "x"}))


def other_file(role: Targets) -> None:
    role.targets[policy_path("agent")].length += 1


def unlisted_intermediate(role: Targets) -> None:
    _bend(role, lambda document: document.update(intermediates=["6.0.0"]))


def retired_intermediate(role: Targets) -> None:
    def change(document: dict[str, Any]) -> None:
        document["retired"].append({"version": "1.0.0", "reason": "x"})
        document["intermediates"] = ["1.0.0"]

    _bend(role, change)
    del role.targets[path_of("1.0.0")]


def odd_channels(role: Targets) -> None:
    custom = dict(role.targets[path_of("1.3.0")].custom or {}) | {"channels": ["b", "a"]}
    role.targets[path_of("1.3.0")].unrecognized_fields["custom"] = custom


BENT = [
    drop_target, drop_policy, drop_ruling, drop_revoked, reword, keep_serial, jump_serial, idle_serial,
    rule_about_the_unknown, list_the_yanked, list_the_revoked_under_another_name, revoke_a_stranger, other_file,
    unlisted_intermediate, retired_intermediate, odd_channels,
]  # fmt: skip


@pytest.mark.parametrize("bend", BENT)
def test_a_key_holder_can_not_undo_or_hide_what_was_ruled(bend: Callable[[Targets], None]) -> None:
    files = after(Yank(V("1.1.0"), WHY), Revoke(V("1.2.0"), WHY))
    role = changed_role("agent", role_of(files), [_publish(V("2.0.0"))])
    fair = sign_product(role, [signer("products/agent")], START)
    assert check_product(files, "agent", fair, START).version == role.version
    bend(role)
    with pytest.raises(FleetrollError) as caught:
        check_product(files, "agent", sign_product(role, [signer("products/agent")], START), START)
    assert caught.value.code in {Code.CONFLICT, Code.INVALID_ARGUMENT, Code.METADATA_INVALID}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(VERBS, min_size=1, max_size=2), min_size=1, max_size=5), st.data())
def test_any_ruling_or_target_that_vanishes_is_refused(steps: Sequence[Sequence[Change]], data: st.DataObject) -> None:
    files, _ = _walk(steps)
    role = role_of(files)
    policy = policy_of("agent", role)
    rulings = [
        (name, one) for name in ("yanked", "retired", "revoked") for one in (getattr(policy, name) if policy else ())
    ]
    droppable: list[Any] = [*role.targets, *rulings]
    dropped = data.draw(st.sampled_from(droppable)) if droppable else None
    if dropped is None:
        return
    if isinstance(dropped, str):
        del role.targets[dropped]
    else:
        name, one = dropped
        _bend(role, lambda document: document[name].remove(
            {"version": str(one.version), "reason": one.reason} | ({"sha256": one.sha256} if name == "revoked" else {})
        ))  # fmt: skip
    role.version += 1
    candidate = sign_product(role, [signer("products/agent")], START + timedelta(hours=1))
    with pytest.raises(FleetrollError):
        check_product(files, "agent", candidate, START)
