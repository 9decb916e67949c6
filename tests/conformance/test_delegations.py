"""Searching a target through delegations: order, ends, patterns, hashed bins, cycles, odd names, who vouches."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.conformance.simulator import LISTS, Repository, new_key

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    from tests.conformance.conftest import Client

TOP = 4
"""Files that are asked for before delegations begin."""


@dataclass(frozen=True)
class Graph:
    """Delegations as `who>whom`, `!` behind those that end the search, `=pattern` behind those of some paths alone."""

    edges: str
    visited: str
    prefixes: dict[str, list[str]] = field(default_factory=dict)


def digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


NAME = "some/target.txt"
HASH = digest(NAME)
OTHERS = [f"{number:x}" for number in range(16) if f"{number:x}" != HASH[0]]
GRAPHS = {
    "one": Graph("targets>A", "A"),
    "two in order": Graph("targets>A targets>B", "A B"),
    "two in the other order": Graph("targets>B targets>A", "B A"),
    "depth first": Graph("targets>A targets>B A>C A>D B>E", "A C D B E"),
    "deep": Graph("targets>A A>B B>C C>D D>E E>F", "A B C D E F"),
    "terminating": Graph("targets>A! targets>B", "A"),
    "terminating below": Graph("targets>A targets>B A>C! A>D", "A C"),
    "terminating with children": Graph("targets>A targets>B A>C! C>D A>E", "A C D"),
    "terminating that does not match": Graph("targets>A!=*.py targets>B", "B"),
    "pattern that does not match": Graph("targets>A=other/* targets>B", "B"),
    "pattern that matches": Graph("targets>A=some/* targets>B=some/*.txt", "A B"),
    "pattern with one part too few": Graph("targets>A=*.txt targets>B=*", ""),
    "pattern with a question mark": Graph("targets>A=some/targe?.txt", "A"),
    "pattern below a pattern": Graph("targets>A=some/* A>B=other/* A>C=*/target.txt", "A C"),
    "cycle": Graph("targets>A A>B B>A B>C", "A B C"),
    "itself": Graph("targets>A A>A A>B", "A B"),
    "two ways to one": Graph("targets>A targets>B A>C B>C", "A C B"),
    "two ways to one, the first does not match": Graph("targets>A targets>B A>C=x B>C", "A B C"),
    "hash prefix that matches": Graph("targets>A", "A", {"A": [HASH[:1]]}),
    "long hash prefix that matches": Graph("targets>A", "A", {"A": [HASH[:8]]}),
    "hash prefix among others": Graph("targets>A targets>B", "A B", {"A": [*OTHERS, HASH[:2]], "B": [HASH]}),
    "hash prefix that does not match": Graph("targets>A targets>B", "B", {"A": OTHERS, "B": [HASH[:3]]}),
    "hash prefix below a pattern": Graph("targets>A=some/* A>B A>C", "A C", {"B": OTHERS, "C": [HASH[0]]}),
}


def build(repository: Repository, graph: Graph, pattern: str = "*/*") -> None:
    """Publish the delegations."""
    keys: dict[str, CryptoSigner] = {}
    for edge in graph.edges.split():
        way, _, only = edge.partition("=")
        by, _, role = way.rstrip("!").partition(">")
        keys.setdefault(role, new_key())
        terms: dict[str, object] = {"terminating": way.endswith("!"), "paths": [only or pattern]}
        if role in graph.prefixes:
            terms["path_hash_prefixes"] = graph.prefixes[role]
            del terms["paths"]
        repository.delegate(by, role, signed_by=keys[role], **terms)
    for role, key in keys.items():
        repository.keys[role] = [key]
    repository.publish(*keys, raised=False)
    repository.publish(*LISTS)


@pytest.mark.parametrize("name", GRAPHS)
def test_delegations_are_searched_depth_first_in_order(repository: Repository, client: Client, name: str) -> None:
    graph = GRAPHS[name]
    build(repository, graph)
    assert client.misses(NAME)
    assert repository.asked[TOP:] == [f"1.{role}" for role in graph.visited.split()]
    assert client.trusted().keys() == {"root", *LISTS, *graph.visited.split()}


@pytest.mark.parametrize("role", ["A", "C", "D"])
def test_what_a_delegated_role_lists_is_found(repository: Repository, client: Client, role: str) -> None:
    build(repository, GRAPHS["depth first"])
    repository.add_target(role, NAME, b"data")
    repository.publish(role, "snapshot", "timestamp")
    assert client.download(NAME)
    assert client.files() == [b"data"]


def test_the_first_role_that_lists_it_decides(repository: Repository, client: Client) -> None:
    build(repository, GRAPHS["two in order"])
    repository.add_target("B", NAME, b"of the second")
    repository.add_target("A", NAME, b"of the first")
    repository.publish("A", "B", "snapshot", "timestamp")
    assert client.download(NAME)
    assert client.files() == [b"of the first"]


def test_the_top_decides_before_all_others(repository: Repository, client: Client) -> None:
    build(repository, GRAPHS["one"])
    repository.add_target("A", NAME, b"of the delegated")
    repository.add_target("targets", NAME, b"of the top")
    repository.publish("A", *LISTS)
    assert client.download(NAME)
    assert client.files() == [b"of the top"]
    assert len(repository.asked) == TOP


def test_what_a_role_lists_outside_of_its_delegation_is_not_found(repository: Repository, client: Client) -> None:
    build(repository, GRAPHS["pattern that does not match"])
    repository.add_target("A", NAME, b"not mine to list")
    repository.publish("A", "snapshot", "timestamp")
    assert client.misses(NAME)


def test_what_stands_behind_a_role_that_ends_the_search_is_not_found(repository: Repository, client: Client) -> None:
    build(repository, GRAPHS["terminating"])
    repository.add_target("B", NAME, b"too late")
    repository.publish("B", "snapshot", "timestamp")
    assert client.misses(NAME)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_hashed_bins_of_succinct_delegation(repository: Repository, client: Client, bits: int) -> None:
    repository.delegate_bins("targets", bits, "bin")
    bins = [role for role in repository.signed if role.startswith("bin-")]
    assert len(bins) == 2**bits
    width = len(f"{2**bits - 1:x}")
    mine = f"bin-{int(HASH[:8], 16) >> (32 - bits):0{width}x}"
    repository.add_target(mine, NAME, b"in its bin")
    repository.publish(*bins, raised=False)
    repository.publish(*LISTS)
    assert client.download(NAME)
    assert repository.asked[TOP:] == [f"1.{mine}"]


def test_a_chain_of_more_roles_than_anybody_needs_comes_to_an_end(repository: Repository, client: Client) -> None:
    build(repository, Graph(" ".join(["targets>r0", *(f"r{n}>r{n + 1}" for n in range(60))]), ""))
    repository.add_target("r60", NAME, b"very deep")
    repository.publish("r60", "snapshot", "timestamp")
    assert client.misses(NAME)
    assert len(repository.asked[TOP:]) <= 40


ODD = ["?", "#", "/role", "../role", "../../role", "%2e%2e", "a b", "a\\b", "röle", "x" * 80, ".", "role.json"]


@pytest.mark.parametrize("role", ODD)
def test_an_odd_name_of_a_role_is_encoded_and_leads_nowhere_else(
    repository: Repository, client: Client, role: str
) -> None:
    around = {path for path in client.folder.rglob("*") if "metadata" not in path.parts}
    repository.delegate("targets", role)
    repository.add_target(role, NAME, b"data")
    repository.publish(role, raised=False)
    repository.publish(*LISTS)
    assert client.download(NAME)
    assert repository.asked[TOP:] == [f"1.{role}"]
    assert f"1.{quote(role, safe='')}.json" in repository.files
    assert len(client.trusted()) == TOP + 1
    assert {path for path in client.folder.rglob("*") if "metadata" not in path.parts} >= around
    assert not (client.folder / "role.json").exists()


@pytest.mark.parametrize(
    ("fault", "code"),
    [("unsigned", "UNSIGNED"), ("stranger", "UNSIGNED"), ("old", "METADATA_MIXED"), ("new", "METADATA_MIXED")],
)
def test_a_delegated_role_is_verified_as_its_delegator_says(
    repository: Repository, client: Client, fault: str, code: str
) -> None:
    build(repository, GRAPHS["two in order"])
    repository.add_target("B", NAME, b"data")
    repository.publish("A", "B", "snapshot", "timestamp")
    if fault in {"old", "new"}:
        repository.signed["A"].version += -1 if fault == "old" else 1
    keys = {"unsigned": [], "stranger": [new_key()]}.get(fault, repository.keys["A"])
    repository.files["2.A.json"] = repository.sign("A", keys)
    assert client.misses(NAME, code)
    assert "A" not in client.trusted()


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_a_role_of_the_top_cannot_be_delegated(repository: Repository, client: Client, role: str) -> None:
    repository.delegate("targets", "A")
    repository.publish("A", raised=False)
    repository.publish(*LISTS)
    document = json.loads(repository.latest("targets"))
    document["signed"]["delegations"]["roles"][0]["name"] = role
    repository.files[repository.name("targets")] = json.dumps(document).encode()
    assert client.refused("METADATA_INVALID")


def test_a_delegated_role_needs_its_threshold(repository: Repository, client: Client) -> None:
    first, second = new_key(), new_key()
    repository.delegate("targets", "A", signed_by=first, threshold=2)
    assert repository.top.delegations is not None
    repository.top.add_key(second.public_key, "A")
    repository.add_target("A", NAME, b"data")
    repository.publish("A", raised=False)
    repository.publish(*LISTS)
    assert client.misses(NAME, "UNSIGNED")
    repository.keys["A"] = [first, second]
    repository.publish("A", "snapshot", "timestamp")
    assert client.download(NAME)


def test_each_way_to_a_role_is_verified_by_its_own_delegator(repository: Repository, client: Client) -> None:
    """A role that was found on one way says nothing about another way, under other keys."""
    build(repository, Graph("targets>A=a/* targets>B=b/*", ""))
    honest, other = new_key(), new_key()
    repository.delegate("A", "C", signed_by=honest, paths=["a/*"])
    repository.delegate("B", "C", signed_by=other, paths=["b/*"])
    repository.keys["C"] = [honest]
    repository.add_target("C", "a/file", b"vouched for")
    repository.add_target("C", "b/file", b"nobody vouches for this")
    repository.publish("C", raised=False)
    repository.publish("A", "B", "snapshot", "timestamp")
    assert client.download("a/file")
    assert client.misses("b/file", "UNSIGNED")
    assert client.files() == [b"vouched for"]


def test_a_key_that_its_delegator_has_dropped_counts_no_more(repository: Repository, client: Client) -> None:
    build(repository, GRAPHS["one"])
    repository.add_target("A", NAME, b"data")
    repository.publish("A", "snapshot", "timestamp")
    assert client.download(NAME)
    repository.add_target("A", "some/second", b"second")
    old = list(repository.keys["A"])
    assert repository.top.delegations is not None
    assert repository.top.delegations.roles is not None
    repository.top.delegations.roles["A"].keyids.clear()
    repository.delegate("targets", "A", paths=["*/*"])
    repository.keys["A"] = old
    repository.publish("A", *LISTS)
    assert client.misses("some/second", "UNSIGNED")
    assert client.misses(NAME, "UNSIGNED")


def test_a_role_that_the_snapshot_does_not_name_is_refused(repository: Repository, client: Client) -> None:
    build(repository, GRAPHS["one"])
    del repository.snapshot.meta["A.json"]
    repository.publish("snapshot", "timestamp")
    assert client.misses(NAME, "METADATA_MIXED")


def test_a_delegated_role_that_has_expired_is_not_taken(repository: Repository, client: Client) -> None:
    build(repository, GRAPHS["one"])
    repository.listing("A").expires = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    repository.add_target("A", NAME, b"data")
    repository.publish("A", "snapshot", "timestamp")
    assert client.refresh()
    assert client.misses(NAME, "METADATA_FREEZE")
    assert "A" not in client.trusted()


def test_a_delegated_role_that_expires_here_is_used_no_more_until_there_is_a_newer_one(
    repository: Repository, client: Client
) -> None:
    build(repository, GRAPHS["one"])
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    repository.listing("A").expires = soon
    repository.add_target("A", NAME, b"first")
    repository.add_target("A", "some/second", b"second")
    repository.publish("A", "snapshot", "timestamp")
    assert client.download(NAME)
    client.wait(days=8)
    assert client.misses("some/second", "METADATA_FREEZE")
    repository.listing("A").expires = soon + timedelta(days=14)
    repository.publish("A", "snapshot", "timestamp")
    assert client.download("some/second")
    assert client.files() == [b"first", b"second"]


@pytest.mark.parametrize("describes", [True, False])
def test_a_delegated_role_has_length_and_hash_where_they_are_listed(
    repository: Repository, client: Client, describes: bool
) -> None:
    repository.describes = describes
    build(repository, GRAPHS["one"])
    if describes:
        repository.snapshot.meta["A.json"].hashes = {"sha256": "0" * 64}
        repository.publish("snapshot", "timestamp")
    assert client.misses(NAME, "METADATA_MIXED" if describes else "NOT_LISTED")
