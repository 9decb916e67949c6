"""What a publisher brings: genuine files alone, no step backwards, and no number that nobody could sign above."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust.limits import VERSION_MAX
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.roles import file_name, read_repository, sign_role
from fleetroll_server.recovery.brought import AHEAD_MAX, Brought, judge
from tests.faults.keyrings import Owner
from tests.faults.repositories import START, Repository, path_of, signer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AGENT = "products/agent"


@pytest.fixture
def repository() -> Repository:
    return Repository()


def signed_by_people(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Every root, the newest targets and product: what lies beside keys."""
    read = read_repository(files)
    names = {file_name("targets", read.targets.version), file_name(AGENT, read.product("agent").version)}
    return {name: data for name, data in files.items() if name.endswith(".root.json") or name in names}


def refused(known: Mapping[str, bytes], files: Mapping[str, bytes]) -> FleetrollError:
    with pytest.raises(FleetrollError) as caught:
        judge(known, files, START)
    return caught.value


def agent_role(repository: Repository, version: int, change: Callable[[Any], None] = lambda _role: None) -> Any:
    """The next role of the agent, as its key signs it."""
    role = read_repository(repository.files).product("agent")
    role.version = version
    change(role)
    return {file_name(AGENT, version): sign_role(role, repository.signers.every(AGENT))}


def test_roots_targets_and_products_are_taken_together(repository: Repository) -> None:
    known, owner = repository.frozen(), Owner(repository, count())
    owner.rotate("timestamp")
    owner.rotate("root", "targets", AGENT)
    repository.publish("1.1.0")
    brought: Brought = judge(known, signed_by_people(repository.files), START)
    read = read_repository(repository.files)
    assert list(brought.roots) == ["2.root.json", "3.root.json"]
    assert {role: version for role, (version, _data) in brought.shown.roles.items()} == {
        "targets": read.targets.version,
        AGENT: read.product("agent").version,
    }


def test_what_is_here_or_older_changes_nothing(repository: Repository) -> None:
    old = signed_by_people(repository.files)
    Owner(repository, count()).rotate("timestamp")
    repository.publish("1.1.0")
    for files in (old, signed_by_people(repository.files)):
        assert judge(repository.files, files, START).names == ()


def test_an_older_root_takes_no_newer_ones_place(repository: Repository) -> None:
    """Nor does another one of its version, of whoever had the root keys once."""
    owner = Owner(repository, count())
    before, thief = repository.frozen(), Repository()
    owner.rotate("root")
    Owner(thief, count(100)).rotate("targets")
    assert refused(repository.files, {"2.root.json": thief.files["2.root.json"]}).code is Code.UNSIGNED
    assert judge(repository.files, {"1.root.json": before["1.root.json"]}, START).names == ()


def test_a_forged_chain_is_refused_by_name(repository: Repository) -> None:
    known, owner = repository.frozen(), Owner(repository, count())
    for _ in range(2):
        owner.rotate("targets")
    chain = {name: data for name, data in repository.files.items() if name.endswith(".root.json")}
    foreign = Repository(prefix="foreign ")
    Owner(foreign, count()).rotate("targets")
    gap = {name: data for name, data in chain.items() if name != "2.root.json"}
    assert refused(known, gap).code is Code.CONFLICT
    assert refused(known, {"2.root.json": foreign.files["2.root.json"]}).code is Code.UNSIGNED
    assert refused(known, {"2.root.json": chain["3.root.json"]}).code is Code.METADATA_INVALID
    repository.files = known
    repository.signed_by_thief(
        "root", lambda root: root.add_key(signer("x").public_key, "targets"), by=signer("root-0")
    )
    forged = {name: data for name, data in repository.forged.items() if isinstance(data, bytes)}
    forged = {"2.root.json": forged["2.root.json"]}
    assert refused(known, forged).code is Code.UNSIGNED, "one key of three"


def test_a_stolen_key_that_was_exchanged_brings_nothing(repository: Repository) -> None:
    """Beside the roots that name its successor, and on a server that has these."""
    known, stolen = repository.frozen(), repository.signers
    owner = Owner(repository, count())
    owner.rotate(AGENT)
    owner.rotate("targets")
    good = signed_by_people(repository.files)
    role = read_repository(known).product("agent")
    role.version = 9
    evil = {file_name(AGENT, 9): sign_role(role, stolen.every(AGENT))}
    roots_and_targets = {name: data for name, data in good.items() if "products" not in name}
    assert refused(known, {**roots_and_targets, **evil}).code is Code.UNSIGNED
    targets = read_repository(known).targets
    targets.version = 9
    evil = {file_name("targets", 9): sign_role(targets, stolen.every("targets"))}
    roots = {name: data for name, data in good.items() if name.endswith(".root.json")}
    assert refused(known, {**roots, **evil}).code is Code.UNSIGNED
    assert refused(repository.files, evil).code is Code.UNSIGNED


@pytest.mark.parametrize("height", [AHEAD_MAX + 1, VERSION_MAX])
def test_a_stolen_key_runs_no_number_too_high_for_its_owner(repository: Repository, height: int) -> None:
    here = read_repository(repository.files).product("agent").version
    error = refused(repository.files, agent_role(repository, here + height if height < VERSION_MAX else height))
    assert (error.code, "above" in error.message) == (Code.INVALID_ARGUMENT, True)
    assert judge(repository.files, agent_role(repository, here + AHEAD_MAX), START).names


def test_nothing_vanishes_without_a_verb(repository: Repository) -> None:
    def without(role: Any) -> None:
        del role.targets[path_of("1.0.0")]

    error = refused(repository.files, agent_role(repository, 9, without))
    assert (error.code, "gone" in error.message) == (Code.CONFLICT, True)


def test_another_file_of_a_version_that_is_here_is_a_conflict(repository: Repository) -> None:
    twin = Repository()
    repository.publish("1.1.0")
    twin.publish("1.2.0")
    assert refused(repository.files, signed_by_people(twin.files)).code is Code.CONFLICT


@pytest.mark.parametrize(
    "name", ["timestamp.json", "2.snapshot.json", "root.json", "../2.root.json", "2.products%2F..json", "0.root.json"]
)
def test_lists_and_strange_names_are_never_taken(repository: Repository, name: str) -> None:
    assert refused(repository.files, {name: repository.files["timestamp.json"]}).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9000])
@pytest.mark.parametrize("name", ["2.root.json", "9.targets.json", "9.products%2Fagent.json"])
def test_nonsense_is_refused(repository: Repository, name: str, data: bytes) -> None:
    assert refused(repository.files, {name: data}).code is Code.METADATA_INVALID


def test_a_file_under_anothers_name_is_refused(repository: Repository) -> None:
    repository.publish("1.1.0")
    known = Repository().files
    data = repository.files[file_name(AGENT, 3)]
    for name in ("4.products%2Fagent.json", "9.targets.json", "3.products%2Fshop.json"):
        error = refused(known, {name: data})
        assert error.code in {Code.METADATA_INVALID, Code.UNSIGNED, Code.INVALID_ARGUMENT}, name


def test_a_role_twice_and_too_many_files_are_refused(repository: Repository) -> None:
    files = {**agent_role(repository, 5), **agent_role(repository, 6)}
    assert refused(repository.files, files).code is Code.INVALID_ARGUMENT
    assert refused(repository.files, {}).code is Code.INVALID_ARGUMENT
    many = {f"{number}.root.json": b"" for number in range(1, 66)}
    assert refused(repository.files, many).code is Code.INVALID_ARGUMENT


def test_what_a_stolen_targets_key_signed_here_holds_up_no_successor(repository: Repository) -> None:
    """A thief's host came first, and showed targets of a great height; the owner's root names another key."""
    known, stolen = repository.frozen(), repository.signers
    Owner(repository, count()).rotate("targets")
    evil = Repository()
    evil.files, evil.signers = dict(known), stolen
    targets = read_repository(known).targets
    targets.version = 50
    data = sign_role(targets, stolen.every("targets"))
    evil.forged = {}
    evil._list("targets", 50, data)
    shown = {name: one for name, one in evil.forged.items() if isinstance(one, bytes)}
    here = {**known, **shown, file_name("targets", 50): data}
    brought = judge(here, signed_by_people(repository.files), START)
    assert brought.shown.roles["targets"][0] == 2
