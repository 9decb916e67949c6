"""What is done to an honest archive, layer by layer: manifest, tar, compression, and what is signed about it.

A case is its number under a seed: the same number makes the same bytes again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.attacks.archives.fuzzing.frames import packed
from tests.attacks.archives.fuzzing.manifests import PATHS, bend_bytes, bend_manifest, headed, name_of
from tests.attacks.archives.shots import pax
from tests.faults.archives import Archive, Member, header, honest

if TYPE_CHECKING:
    from random import Random

CONTENTS: tuple[tuple[dict[str, bytes], tuple[str, ...]], ...] = (
    ({"entry.py": b"print('here')\n", "pkg/__init__.py": b"", "pkg/data.bin": bytes(range(256)) * 9}, ()),
    ({"entry.py": b""}, ()),
    ({"entry.py": b"x" * 512, "b": b"y" * 511, "c": b"z" * 513}, ("empty", "empty/inner")),
    ({"entry.py": b"", "/".join("abcdefghijklmnopqrst"): b"deep", "nm" * 45: b"long"}, ()),
    ({"entry.py": b"#", f"{'p' * 99}/{'n' * 99}": b"prefix"}, ()),
    ({"entry.py": b"", **{f"d{number % 7}/f{number:03}": b"%d" % number for number in range(60)}}, ()),
    ({"entry.py": b"", "zeros": bytes(1_000_000)}, ()),
)
"""Every honest archive that cases begin with."""

_RATHER_FITS = 0.7
_KINDS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\0\xff "


@dataclass
class Case:
    """Attributes:

    raw: what the host is given.
    archive: the archive whose manifest is signed, with the signed facts that are other than its own.
    told: what was done, for people.
    """

    raw: bytes
    archive: Archive
    told: list[str]


@dataclass(frozen=True)
class _Base:
    """An honest archive and what is signed about it."""

    archive: Archive
    signed: dict[str, Any]


@cache
def _base(number: int) -> _Base:
    """Return the honest archive of this number."""
    archive = honest(*CONTENTS[number])
    own = archive.custom()
    names = ("tar_sha256", "tar_bytes", "manifest_sha256", "file_count")
    return _Base(archive, {name: getattr(own, name) for name in names})


def make(random: Random) -> Case:
    """Return the next case."""
    number = random.randrange(len(CONTENTS))
    base = _base(number)
    archive, told = Archive(list(base.archive.members)), [f"base {number}"]
    layers = random.choices(("manifest", "members", "headers", "bytes", "frames", "nothing"), (5, 3, 6, 2, 4, 1))
    if random.random() < 0.2:
        layers += random.choices(("manifest", "members", "headers", "bytes", "frames"), k=random.randint(1, 3))
    if "manifest" in layers:
        archive = bend_manifest(random, archive, told)
    if "members" in layers:
        _bend_members(random, archive, told)
    if "headers" in layers:
        _bend_header(random, archive, told)
    tar = archive.tar()
    like = Archive(archive.members, archive.end)
    if "bytes" in layers:
        tar = bend_bytes(random, tar, told)
    _sign(random, like, tar, base.signed, told)
    return Case(packed(random, tar, told, bent="frames" in layers), like, told)


def _sign(random: Random, like: Archive, tar: bytes, honest_ones: dict[str, Any], told: list[str]) -> None:
    """Choose what is signed: what fits the bent tar, what fitted the honest one, or a mixture."""
    fits = {
        "tar_sha256": hashlib.sha256(tar).hexdigest(),
        "tar_bytes": max(1, len(tar)),
        "manifest_sha256": hashlib.sha256(like.members[0].data).hexdigest(),
    }
    like.signed = dict(fits)
    if random.random() > _RATHER_FITS:
        for name, value in honest_ones.items():
            if random.random() < 0.5:
                like.signed[name] = value
                told.append(f"signed {name} of the honest one")
        if random.random() < 0.2:
            like.signed["tar_bytes"] = max(1, int(str(like.signed["tar_bytes"])) + random.choice((-512, -1, 1, 512)))
            told.append("signed length is off")


def _bend_members(random: Random, archive: Archive, told: list[str]) -> None:
    """Change which entries there are, in which order, and what lies between them."""
    members = archive.members
    at = random.randrange(len(members))
    what = random.choice(("drop", "twice", "swap", "data", "padding", "extended", "extra", "end", "none"))
    told.append(f"member {at}: {what}")
    match what:
        case "drop" if len(members) > 1:
            members.pop(at)
        case "twice":
            members.insert(at, members[at])
        case "swap":
            other = random.randrange(len(members))
            members[at], members[other] = members[other], members[at]
        case "data":
            data = members[at].data
            archive.bend(at, data=bend_bytes(random, data, told) if data else b"x")
        case "padding":
            archive.bend(at, padding=random.randbytes(random.choice((0, 1, 511, 512, 1024))))
        case "extended":
            members.insert(at, _extended(random))
        case "extra":
            path = random.choice(PATHS)
            members.insert(at, Member(headed(path, 0o644, 5), b"evil\n"))
        case "end":
            archive.end = random.choice(
                (b"", bytes(512), bytes(1536), b"\1" * 1024, bytes(1024) + b"evil", bytes(10240))
            )
        case _:
            members.clear()
            members.append(Member(header(b"MANIFEST"), b""))


def _extended(random: Random) -> Member:
    """Return one of the entries that would change what follows, in a reader that obeys."""
    lies = {"path": random.choice(PATHS), "size": str(random.choice((0, -1, 5, 10**12)))}
    payload = random.choice((pax(lies), b"../" * 99 + b"witness\0", b"", random.randbytes(700)))
    return Member(
        header(b"././@LongLink", kind=random.choice((b"x", b"g", b"L", b"K", b"S")), size=len(payload)), payload
    )


def _bend_header(random: Random, archive: Archive, told: list[str]) -> None:
    """Change one field of one header, with or without its checksum."""
    at = random.randrange(len(archive.members))
    start, end, name, choices = random.choice(_fields(random))
    value = random.choice(choices)[: end - start].ljust(end - start, b"\0")
    block = bytearray(archive.members[at].header)
    block[start:end] = value
    if random.random() < 0.8:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % (sum(block) % 8**6)
    told.append(f"header {at}: {name} {value[:20]!r}")
    archive.bend(at, header=bytes(block))


def _fields(random: Random) -> tuple[tuple[int, int, str, tuple[bytes, ...]], ...]:
    """Return where each field lies, and what may be put there."""
    names = tuple(name_of(path) for path in PATHS)
    noise = random.randbytes(12)
    numbers = (
        b"0000000\0",
        b"7777777\0",
        b"-000001\0",
        b"        ",
        b"\x80" + bytes(7),
        b"\xff" * 8,
        noise[:8],
        b"00004755",
    )
    sizes = (
        b"00000000000\0",
        b"77777777777\0",
        b"00000001000\0",
        b"-0000000001\0",
        b"\x80" + b"\xff" * 11,
        b"\xff" * 12,
        noise,
    )
    kinds = tuple(bytes([kind]) for kind in _KINDS)
    return (
        (0, 100, "name", names),
        (100, 108, "mode", numbers),
        (108, 116, "owner", numbers),
        (116, 124, "group", numbers),
        (124, 136, "size", sizes),
        (136, 148, "time", sizes),
        (148, 156, "checksum", numbers),
        (156, 157, "type", kinds),
        (157, 257, "link", names),
        (257, 265, "magic", (b"ustar  \0", b"ustar\x0000", bytes(8), noise[:8])),
        (265, 329, "names of owners", names),
        (329, 345, "devices", numbers),
        (345, 500, "prefix", names),
        (500, 512, "rest", (noise, bytes(12))),
    )
