"""Who signed: thresholds, doubles, chains of roots, kinds of keys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust.library import Key
from tests.conformance.simulator import EVERYTHING, LISTS, Repository, Served, new_key

if TYPE_CHECKING:
    from tests.conformance.conftest import Client


@dataclass(frozen=True)
class Version:
    """One version of a role: keys that the root names, how many have to sign, and which sign (by number)."""

    named: str
    threshold: int
    signs: str


V = Version
CHAINS: dict[str, tuple[int, list[Version]]] = {
    "a key replaced, both sign": (3, [V("a", 1, "a"), V("b", 1, "ab"), V("b", 1, "b")]),
    "strangers sign as well": (3, [V("a", 1, "xay"), V("b", 1, "xbay"), V("b", 1, "bx")]),
    "any three of five": (3, [V("abcde", 3, "abc"), V("abcde", 3, "cde"), V("abcde", 3, "ace")]),
    "one of five replaced": (2, [V("abcde", 3, "abc"), V("abcdf", 3, "abd")]),
    "one of five replaced, the new one signs": (2, [V("abcde", 3, "abc"), V("abcdf", 3, "abcf")]),
    "all replaced at once": (3, [V("abc", 2, "ab"), V("def", 2, "abde"), V("def", 2, "ef")]),
    "all replaced one by one": (4, [V("abc", 2, "ab"), V("abd", 2, "abd"), V("aed", 2, "ade"), V("fed", 2, "efd")]),
    "threshold raised": (2, [V("abc", 1, "a"), V("abc", 3, "abc")]),
    "threshold lowered": (3, [V("abc", 3, "abc"), V("abc", 1, "abc"), V("abc", 1, "c")]),
    "keys added": (2, [V("a", 1, "a"), V("abc", 2, "ab")]),
    "the old key does not sign": (1, [V("a", 1, "a"), V("b", 1, "b")]),
    "the new key does not sign": (1, [V("a", 1, "a"), V("b", 1, "a")]),
    "too few of the old": (1, [V("abc", 2, "ab"), V("def", 2, "ade")]),
    "too few of the new": (1, [V("abc", 2, "ab"), V("def", 2, "abd")]),
    "threshold raised and not reached": (1, [V("abc", 1, "a"), V("abc", 2, "b")]),
    "threshold lowered by too few": (1, [V("abc", 2, "ab"), V("abc", 1, "a")]),
    "threshold that no number of keys reaches": (1, [V("abc", 1, "a"), V("abc", 4, "abc")]),
    "a link in the middle is not signed": (2, [V("a", 1, "a"), V("b", 1, "ab"), V("c", 1, "c"), V("c", 1, "abc")]),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_of_roots_is_followed_as_far_as_it_is_signed(
    repository: Repository, client: Client, chain: str
) -> None:
    reached, versions = CHAINS[chain]
    keys = {name: new_key() for name in "abcdefxy"}
    for number, version in enumerate(versions, start=1):
        root = repository.root
        root.roles["root"].keyids.clear()
        root.roles["root"].threshold = version.threshold
        for name in version.named:
            root.add_key(keys[name].public_key, "root")
        root.version = number
        repository.files[f"{number}.root.json"] = repository.sign("root", [keys[name] for name in version.signs])
    client.init(repository.files["1.root.json"])
    assert client.refresh() == (reached == len(versions))
    assert client.trusted()["root"] == reached
    assert client.file("root") == repository.files[f"{reached}.root.json"]


ROLES: dict[str, tuple[bool, Version]] = {
    "another key": (True, V("b", 1, "b")),
    "strangers sign as well": (True, V("b", 1, "xby")),
    "three of five": (True, V("abcde", 3, "bde")),
    "the old key alone": (False, V("b", 1, "0")),
    "strangers alone": (False, V("b", 1, "xy")),
    "two of three that are needed": (False, V("abcde", 3, "ab")),
    "three, one of them unknown": (False, V("abcde", 3, "abx")),
    "nobody": (False, V("a", 1, "")),
    "more than there are": (False, V("ab", 3, "ab")),
}


@pytest.mark.parametrize("case", ROLES)
@pytest.mark.parametrize("role", LISTS)
def test_a_role_needs_as_many_of_its_keys_as_the_root_says(
    repository: Repository, client: Client, role: str, case: str
) -> None:
    fits, version = ROLES[case]
    keys = {name: new_key() for name in "abcdexy"} | {"0": repository.keys[role][0]}
    repository.root.roles[role].keyids.clear()
    repository.root.roles[role].threshold = version.threshold
    for name in version.named:
        repository.root.add_key(keys[name].public_key, role)
    repository.keys[role] = [keys[name] for name in version.signs]
    repository.publish("root", *LISTS)
    assert client.refresh() if fits else client.refused("UNSIGNED")
    assert client.trusted()["root"] == 2
    assert (client.trusted().get(role) == 2) is fits


def test_one_key_named_six_times_is_not_six_keys(repository: Repository, client: Client) -> None:
    keyid = repository.root.roles["snapshot"].keyids[0]
    repository.root.version += 1
    document = json.loads(repository.sign("root"))
    document["signed"]["roles"]["snapshot"] |= {"keyids": [keyid] * 6, "threshold": 6}
    repository.files["2.root.json"] = json.dumps(document).encode()
    assert not client.refresh()
    assert client.trusted() == {"root": 1}


def test_one_signature_six_times_is_not_six_signatures(repository: Repository, client: Client) -> None:
    for _ in range(5):
        repository.add_key("snapshot")
    repository.root.roles["snapshot"].threshold = 6
    repository.keys["snapshot"] = repository.keys["snapshot"][:1]
    repository.publish("root", *LISTS)
    document = json.loads(repository.latest("snapshot"))
    document["signatures"] *= 6
    repository.files["2.snapshot.json"] = json.dumps(document).encode()
    assert not client.refresh()
    assert "snapshot" not in client.trusted()


@pytest.mark.parametrize("role", EVERYTHING)
def test_a_signature_that_stands_twice_is_refused_even_where_one_is_enough(
    repository: Repository, client: Client, role: str
) -> None:
    repository.publish("root", *LISTS)
    document = json.loads(repository.latest(role))
    document["signatures"].append(document["signatures"][0])
    repository.files[repository.name(role)] = json.dumps(document).encode()
    assert client.refused("METADATA_INVALID")


@pytest.mark.parametrize("bad", ["", "00", "x" * 128, "0" * 128])
def test_a_signature_that_does_not_fit_beside_enough_that_do_is_passed_over(
    repository: Repository, client: Client, bad: str
) -> None:
    repository.add_key("timestamp")
    repository.publish("root", *LISTS)
    document = json.loads(repository.latest("timestamp"))
    document["signatures"][0]["sig"] = bad
    repository.files["timestamp.json"] = json.dumps(document).encode()
    assert client.refresh()


KINDS = ("ed25519", "ecdsa", "rsassa-pss-sha256", "rsa-pkcs1v15-sha256")


@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_the_kinds_that_the_specification_names(repository: Repository, client: Client, kind: str) -> None:
    repository.add_key("root", new_key(kind))
    repository.root.roles["root"].threshold = 2
    repository.publish("root", *LISTS)
    assert client.refresh()
    repository.publish("root")
    document = json.loads(repository.files["3.root.json"])
    sig = document["signatures"][1]["sig"]
    document["signatures"][1]["sig"] = f"{sig[:-2]}{(int(sig[-2:], 16) ^ 1):02x}"
    repository.files["3.root.json"] = json.dumps(document).encode()
    assert client.refused("UNSIGNED")
    assert client.trusted()["root"] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_repository_of_keys_of_one_kind(tmp_path: Any, kind: str, client: Client) -> None:
    other = Repository(kind) if not kind.startswith("rsa") else _rsa(kind)
    client.init(other.files["1.root.json"])
    assert not client.refresh()  # the repository at the address is another one
    (tmp_path / "x").mkdir()
    with Served(other) as served:
        client.url, client.folder = served.url, tmp_path / "x"
        client.init(other.files["1.root.json"])
        assert client.refresh()


def _rsa(kind: str) -> Repository:
    """Return a repository of which one RSA key signs everything: keys of this kind are slow to make."""
    made, key = Repository(), new_key(kind)
    for role in EVERYTHING:
        made.root.roles[role].keyids.clear()
        made.keys[role] = []
    for role in EVERYTHING:
        made.add_key(role, key)
    made.files.clear()
    made.publish(*EVERYTHING, raised=False)
    return made


def test_an_id_that_does_not_follow_from_the_keys_content_is_a_name(repository: Repository, client: Client) -> None:
    """The specification wants it computed; the library and most repositories take it for a name, and so do we."""
    key = new_key()
    key.public_key.keyid = "f" * 64
    repository.root.roles["targets"].keyids.clear()
    repository.keys["targets"] = []
    repository.add_key("targets", key)
    repository.publish("root", *LISTS)
    assert client.refresh()


@pytest.mark.parametrize("value", ["md5", ["sha256", "sha512"]])
def test_the_old_field_for_computing_ids_says_nothing(repository: Repository, client: Client, value: Any) -> None:
    key = new_key()
    key.public_key.unrecognized_fields = {"keyid_hash_algorithms": value}
    repository.add_key("snapshot", key)
    repository.publish("root", *LISTS)
    assert client.refresh()


def test_keys_that_no_role_names_do_not_matter(repository: Repository, client: Client) -> None:
    for kind in ("ed25519", "ecdsa"):
        key = new_key(kind).public_key
        repository.root.keys[key.keyid] = key
    repository.publish("root", *LISTS)
    assert client.refresh()


@pytest.mark.parametrize("role", LISTS)
def test_a_role_that_names_a_key_that_is_not_there_lacks_its_signature(
    repository: Repository, client: Client, role: str
) -> None:
    assert client.refresh()
    repository.root.roles[role].keyids.append("e" * 64)
    repository.root.roles[role].threshold = 2
    repository.publish("root", *LISTS)
    assert client.refused("UNSIGNED")
    assert client.trusted()["root"] == 2
    repository.root.roles[role].threshold = 1
    repository.publish("root")
    assert client.refresh()


def test_a_key_that_is_not_there_counts_for_no_signature_of_its_id(repository: Repository, client: Client) -> None:
    stranger = new_key()
    repository.root.roles["timestamp"].keyids.append(stranger.public_key.keyid)
    repository.root.roles["timestamp"].threshold = 2
    repository.keys["timestamp"].append(stranger)
    repository.publish("root", *LISTS)
    assert client.refused("UNSIGNED")


def test_a_key_of_an_unknown_kind_makes_the_root_unreadable(repository: Repository, client: Client) -> None:
    """As in the library: what can't be read is not guessed at, and the root before stays."""
    repository.root.version += 1
    document = json.loads(repository.sign("root"))
    document["signed"]["keys"]["d" * 64] = {"keytype": "later", "scheme": "later", "keyval": {"public": "x"}}
    repository.files["2.root.json"] = json.dumps(document).encode()
    assert client.refused("METADATA_INVALID")
    assert client.trusted() == {"root": 1}


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_threshold_of_nobody_is_refused(repository: Repository, client: Client, threshold: int) -> None:
    repository.root.roles["timestamp"].threshold = threshold
    repository.publish("root", *LISTS)
    assert client.refused("METADATA_INVALID")
    assert client.trusted() == {"root": 1}


def test_the_libraries_own_key_class_reads_what_ours_wrote(repository: Repository) -> None:
    """The keys of this simulator are not this project's: else the two would only agree with themselves."""
    key = repository.keys["root"][0].public_key
    assert type(key).__module__.startswith("securesystemslib")
    assert type(Key.from_dict(key.keyid, key.to_dict())).__module__ == "fleetroll_common.trust.keys"
