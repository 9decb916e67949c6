"""``fleetroll keys`` without a server: the ceremony, key files and their passphrases, status and backup of a folder."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from fleetroll_cli.keys.options import counts
from fleetroll_cli.keys.ring import Passphrases, new_keys, open_keys
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_publishing.carrying.signing_copy import Folder, read_for_signing
from fleetroll_publishing.keys import Passphrase, SecretKey, load_key, read_label
from fleetroll_publishing.rotation import key_sets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Commands, Ended

LEAST = ("--memory-mib", "64")


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    """Passphrase files: one for the root's keys, one for each other."""
    named = []
    for name in ("root", "targets", "products-agent", "products-shop"):
        (tmp_path / f"{name}.words").write_text(f"words of {name}\nnot these\n")
        named += ["--passphrase-file", f"{name}={tmp_path / f'{name}.words'}"]
    return (*LEAST, *named)


def begin(commands: Commands, folder: Path, *more: str) -> Ended:
    return commands.run("keys", "init", "--out", str(folder), *more)


def test_the_ceremony_makes_every_key_in_a_file_of_its_own(
    commands: Commands, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """0600, each opened by its own passphrase alone; the server's two under a secret that is told once."""
    keys, secret = tmp_path / "keys", tmp_path / "secret"
    done = begin(
        commands, keys, "--product", "agent", "--product", "shop", "--threshold-product", "shop=2/3",
        "--secret-file", str(secret), "--json", *words,
    )  # fmt: skip
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert "secret" not in said
    names = sorted(path.name for path in keys.glob("*.key"))
    shop = [f"products-shop-{number}.key" for number in (1, 2, 3)]
    assert names == ["products-agent.key", *shop, "root-1.key", "root-2.key", "root-3.key", "targets.key"]
    for path in (*keys.glob("*.key"), secret, *(keys / "for-server").glob("*.key")):
        assert path.stat().st_mode & 0o777 == 0o600
    label = read_label(keys / "root-2.key")
    assert (label.label, label.wants_passphrase) == ("root", True)
    assert load_key(keys / "root-2.key", Passphrase("words of root")).public == label.public
    with pytest.raises(RequestError):
        load_key(keys / "targets.key", Passphrase("words of root"))
    online = SecretKey(bytes.fromhex(secret.read_text().strip()))
    files = read_for_signing(Folder(keys / "for-server" / "metadata"), (keys / "1.root.json").read_bytes())
    sets = key_sets(files)
    for role in ("snapshot", "timestamp"):
        assert load_key(keys / "for-server" / f"{role}.key", online).public == sets[role].keys[0]
    assert (sets["root"].threshold, sets["products/shop"].threshold, len(sets["products/shop"].keys)) == (2, 2, 3)
    every = open_keys(sorted(keys.glob("*.key")), Passphrases.of(list(words[3::2])), [sets])
    assert [len(every.every(role)) for role in sets] == [3, 1, 1, 3, 0, 0]


def test_the_secret_is_shown_once_where_no_file_is_named(
    commands: Commands, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = begin(commands, tmp_path / "keys", *words)
    (secret,) = [line.rpartition(" ")[2] for line in done.out.splitlines() if "shown once" in line]
    online = SecretKey(bytes.fromhex(secret))
    assert load_key(tmp_path / "keys" / "for-server" / "timestamp.key", online).seed
    assert "root's SHA-256: " in done.out


def test_a_secret_that_finds_no_place_leaves_no_keys(
    commands: Commands, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Its file is made first: keys for a server whose secret nobody has would be worth nothing."""
    taken, keys = tmp_path / "secret", tmp_path / "keys"
    taken.write_text("of another day")
    for path in (taken, tmp_path / "nowhere" / "secret", keys / "secret"):
        done = begin(commands, keys, "--secret-file", str(path), *words)
        assert (done.code, "secret-file: " in done.err, keys.exists()) == (1, True, False), done.err
    assert taken.read_text() == "of another day"
    done = begin(commands, keys, "--secret-file", str(tmp_path / "new"), *LEAST)
    assert (done.code, keys.exists(), (tmp_path / "new").exists()) == (1, False, False), "no passphrases, no secret"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        (("--product", "Shop"), "product"),
        (("--threshold-product", "shop=2/3"), "threshold-product"),
        (("--threshold-product", "agent=3/2"), "products/agent"),
        (("--threshold-product", "agent=0/2"), "threshold-product"),
        (("--threshold-product", "agent"), "threshold-product"),
        (("--memory-mib", "8"), "memory-mib"),
        (("--passphrase-file", "root="), "passphrase-file"),
    ],
)
def test_what_can_not_begin_is_named_and_nothing_is_written(
    commands: Commands, tmp_path: Path, words: tuple[str, ...], more: tuple[str, ...], field: str
) -> None:
    done = begin(commands, tmp_path / "keys", *words, *more)
    assert done.code == 1
    assert f"{field}: " in done.err
    assert not (tmp_path / "keys").exists()


def test_nobody_to_ask_is_an_error_and_no_empty_passphrase(commands: Commands, tmp_path: Path) -> None:
    done = begin(commands, tmp_path / "keys", *LEAST)
    assert done.code == 1
    assert "nobody can be asked for the new passphrase for root-1.key" in done.err
    assert not (tmp_path / "keys").exists()


def test_a_folder_that_is_in_use_is_left_alone(commands: Commands, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert begin(commands, tmp_path / "keys", *words).code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "keys").rglob("*") if path.is_file()}
    again = begin(commands, tmp_path / "keys", *words)
    assert again.code == 1
    assert "in use" in again.err
    assert before == {path: path.read_bytes() for path in (tmp_path / "keys").rglob("*") if path.is_file()}


def test_status_reads_a_folder_and_refuses_one_that_was_changed(
    commands: Commands, tmp_path: Path, words: tuple[str, ...]
) -> None:
    begin(commands, tmp_path / "keys", *words)
    folder = tmp_path / "keys" / "for-server" / "metadata"
    shown = commands.run("keys", "status", "--files", str(folder), "--json")
    assert [role["role"] for role in json.loads(shown.out)["roles"]] == [
        "root",
        "targets",
        "products/agent",
        "snapshot",
        "timestamp",
    ]
    assert "2 of 3" in commands.run("keys", "status", "--files", str(folder)).out
    targets = folder / "1.targets.json"
    targets.write_bytes(targets.read_bytes().replace(b'"threshold":1', b'"threshold":2'))
    refused = commands.run("keys", "status", "--files", str(folder))
    assert refused.code == 1
    assert "UNSIGNED" in refused.err


def test_a_backup_is_one_file_that_stays_locked(commands: Commands, tmp_path: Path, words: tuple[str, ...]) -> None:
    keys, out = tmp_path / "keys", tmp_path / "keys.tar"
    begin(commands, keys, *words)
    done = commands.run("keys", "backup", "--keys", str(keys), "--out", str(out), "--without-server")
    assert done.code == 0, done.err
    assert out.stat().st_mode & 0o777 == 0o600
    with tarfile.open(out) as tar:
        kept = {one.name: file.read() for one in tar if (file := tar.extractfile(one)) is not None}
    for path in [*keys.glob("*.key"), keys / "1.root.json"]:
        assert kept[path.name] == path.read_bytes()
    assert not [name for name in kept if "for-server" in name]
    again = commands.run("keys", "backup", "--keys", str(keys), "--out", str(out), "--without-server")
    assert (again.code, "not overwritten" in again.err) == (1, True)


def test_a_key_without_a_passphrase_is_not_backed_up(
    commands: Commands, tmp_path: Path, words: tuple[str, ...]
) -> None:
    begin(commands, tmp_path / "keys", *words)
    bare = tmp_path / "keys" / "for-server"
    out = tmp_path / "keys.tar"
    done = commands.run("keys", "backup", "--keys", str(bare), "--out", str(out), "--without-server")
    assert (done.code, "not protected by a passphrase" in done.err, out.exists()) == (1, True, False)


def test_new_files_take_names_that_are_free(tmp_path: Path) -> None:
    def stems(role: str, count: int, *, first: bool = False) -> list[str]:
        return [key.stem for key in new_keys(role, count, tmp_path, first=first)]

    assert stems("targets", 1, first=True) == ["targets"]
    assert stems("root", 3, first=True) == ["root-1", "root-2", "root-3"]
    for name in ("targets", "root-3", "products-shop", "products-shop-web-7"):
        (tmp_path / f"{name}.key").touch()
    assert stems("targets", 1, first=True) == ["targets-2"]
    assert stems("root", 1) == ["root-4"]
    assert stems("products/shop", 2) == ["products-shop-2", "products-shop-3"]


def test_the_nearest_name_says_which_passphrase_counts(tmp_path: Path) -> None:
    for name in ("all", "root", "second"):
        (tmp_path / name).write_text(f"the words {name}\n")
    found = Passphrases.of([str(tmp_path / "all"), f"root={tmp_path / 'root'}", f"root-2={tmp_path / 'second'}"])
    said = {stem: found.protecting(stem).text for stem in ("root-1", "root-2", "root-20", "targets", "rooted-1")}
    assert said == {
        "root-1": "the words root",
        "root-2": "the words second",
        "root-20": "the words root",
        "targets": "the words all",
        "rooted-1": "the words all",
    }


def test_a_key_that_no_role_names_is_not_opened(commands: Commands, tmp_path: Path, words: tuple[str, ...]) -> None:
    """A file of another repository, taken by mistake: nobody is asked for its passphrase."""
    begin(commands, tmp_path / "keys", *words)
    begin(commands, tmp_path / "others", *words)
    folder = tmp_path / "keys"
    files = read_for_signing(Folder(folder / "for-server" / "metadata"), (folder / "1.root.json").read_bytes())
    with pytest.raises(RequestError) as caught:
        open_keys([tmp_path / "others" / "targets.key"], Passphrases(), [key_sets(files)])
    assert "no role names the key in targets.key" in caught.value.message


def test_another_repository_than_the_pinned_one_is_refused(
    commands: Commands, tmp_path: Path, words: tuple[str, ...]
) -> None:
    begin(commands, tmp_path / "keys", *words)
    begin(commands, tmp_path / "others", *words)
    with pytest.raises(FleetrollError) as caught:
        read_for_signing(
            Folder(tmp_path / "others" / "for-server" / "metadata"), (tmp_path / "keys" / "1.root.json").read_bytes()
        )
    assert caught.value.code is Code.UNSIGNED


def test_counts_are_signatures_of_keys() -> None:
    assert counts(["shop=2/3", "root=2"]) == {"shop": (2, 3), "root": (2, 2)}
    for wrong in ("shop=", "shop=a/3", "=2/3", "shop=2/", "shop=99/99"):
        with pytest.raises(RequestError):
            counts([wrong])
