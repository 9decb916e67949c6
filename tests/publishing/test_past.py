"""What a product's role listed before: found by signatures, and by no word of whoever shows the files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.version import Version
from fleetroll_publishing import repository as building
from fleetroll_publishing.committing import seal_commit
from fleetroll_publishing.past import last_digests
from fleetroll_publishing.roles import read_repository, read_role, sign_role
from fleetroll_publishing.rotation import KeySet, rotate
from fleetroll_publishing.verbs import Yank
from tests.faults.repositories import START, Repository, entry, path_of, signer

ONE_1 = Version.parse("1.1.0")
THIRD = "3.products%2Fagent.json"
WHEN = START + timedelta(minutes=1)


@pytest.fixture
def repository() -> Repository:
    """1.1.0 was listed by version 3 of the role, and is yanked."""
    made = Repository()
    made.publish("1.1.0")
    made.files |= building.change_product(made.files, "agent", [Yank(ONE_1, "bad")], made.signers, START)
    made.publish("1.2.0")
    return made


def digests(repository: Repository, version: Version = ONE_1) -> tuple[str, ...]:
    return last_digests(repository, read_repository(repository.files), "agent", version)


def refused(repository: Repository, version: Version = ONE_1) -> FleetrollError:
    with pytest.raises(FleetrollError) as caught:
        digests(repository, version)
    return caught.value


def test_the_last_role_that_listed_the_release_says_its_digests(repository: Repository) -> None:
    assert digests(repository) == (entry("1.1.0").sha256,)


def bent(repository: Repository, by: Any, **values: Any) -> bytes:
    """Return version 3 of the role with another digest for the release."""
    role = read_role(repository.files, type(read_repository(repository.files).targets), THIRD)
    role.targets[path_of("1.1.0")].hashes["sha256"] = "f" * 64
    for name, value in values.items():
        setattr(role, name, value)
    return sign_role(role, [by])


def test_other_digests_than_were_signed_are_refused(repository: Repository) -> None:
    """Also by a server that has every online key, and by another product's publisher."""
    for thief in ("timestamp", "snapshot", "thief"):
        repository.forged[THIRD] = bent(repository, signer(thief))
        assert refused(repository).code is Code.UNSIGNED
    repository.forged[THIRD] = repository.files["2.products%2Fagent.json"]
    assert refused(repository).code is Code.METADATA_MIXED


def test_no_role_on_the_way_is_left_out(repository: Repository) -> None:
    """The one that is not shown may be the one that counts."""
    for name in (THIRD, "4.products%2Fagent.json"):
        repository.shown = {each: data for each, data in repository.files.items() if each != name}
        error = refused(repository)
        assert (error.code, error.details["role"]) == (Code.NOT_FOUND, "products/agent")


def test_what_was_never_listed_has_no_digests(repository: Repository) -> None:
    assert refused(repository, Version.parse("9.9.9")).code is Code.NOT_FOUND


@pytest.mark.parametrize("role", ["products/agent", "targets"])
def test_a_role_that_was_signed_by_keys_of_then_is_found_by_the_roots(repository: Repository, role: str) -> None:
    """After exchanges of the product's key, and of that of targets, which named it."""
    for number in (1, 2):
        fresh = signer(f"{role} {number}")
        old = repository.signers
        new = replace(old, targets=fresh) if role == "targets" else replace(old, products={"agent": fresh})
        files = rotate(repository.files, {role: KeySet((fresh.public_key,))}, new, WHEN)
        repository.files |= seal_commit(repository.files, files, new, WHEN)
        repository.signers = new
        assert digests(repository) == (entry("1.1.0").sha256,)
    repository.forged[THIRD] = bent(repository, signer("thief"))
    assert refused(repository).code is Code.UNSIGNED
