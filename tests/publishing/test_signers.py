"""Who signs: from memory, from a file, and what is said when nobody can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keys import Cost, Passphrase, PrivateKey, save_key
from fleetroll_publishing.signers import NaClSigner, RoleSigners
from tests.faults.repositories import role_signers, signer

if TYPE_CHECKING:
    from pathlib import Path

KEY = PrivateKey(bytes(32))
WORDS = Passphrase("correct horse", Cost(1, 8192))


def test_a_signer_named_by_its_file_signs_as_the_one_in_memory(tmp_path: Path) -> None:
    save_key(tmp_path / "root-1.key", KEY, "root", WORDS)
    asked: list[str] = []

    def ask(secret: str) -> str:
        asked.append(secret)
        return "correct horse"

    named = NaClSigner.from_priv_key_uri(f"fleetroll-key:{tmp_path}/root-1.key", KEY.public, ask)
    assert named.sign(b"data") == NaClSigner(KEY).sign(b"data")
    assert asked == ["passphrase"]


def test_a_file_of_another_key_is_refused(tmp_path: Path) -> None:
    save_key(tmp_path / "k", KEY, "root", WORDS)
    with pytest.raises(RequestError) as caught:
        NaClSigner.from_priv_key_uri(f"fleetroll-key:{tmp_path}/k", signer("x").public_key, lambda _: "correct horse")
    assert "another key" in caught.value.message


@pytest.mark.parametrize("uri", ["file2:/k", "fleetroll-key:/k"])
def test_without_a_known_scheme_or_somebody_to_ask_there_is_no_signer(uri: str) -> None:
    with pytest.raises(RequestError) as caught:
        NaClSigner.from_priv_key_uri(uri, KEY.public)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp", "products/agent"])
def test_each_role_finds_its_own_signer(role: str) -> None:
    assert role_signers().of(role).public_key == signer(role).public_key


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp", "products/agent"])
def test_a_key_that_is_not_at_hand_is_named(role: str) -> None:
    with pytest.raises(RequestError) as caught:
        RoleSigners().of(role)
    assert caught.value.code is Code.NOT_ALLOWED
    assert caught.value.details == {"role": role}


def test_a_product_called_like_a_role_does_not_sign_for_it() -> None:
    signers = RoleSigners(products={"snapshot": signer("products/snapshot")})
    with pytest.raises(RequestError):
        signers.of("snapshot")
    assert signers.of("products/snapshot").public_key == signer("products/snapshot").public_key
