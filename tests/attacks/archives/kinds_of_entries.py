"""Hostile entries: what an archive may claim that an entry is, or is called. Each kind once, by name.

Where two things say the name, tar and manifest, both are tried: the manifest is signed, and no rule may lean on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values import ustar
from tests.attacks.archives.shots import FOLDER, SIZE, Shot, both, entry, extended, fitted, headed, listed, pax, shot
from tests.faults.archives import EVIL, Archive, header, honest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Kinds = dict[str, "Callable[[Path], Shot]"]
"""By the kind's name: what makes the shot against a host beside which ``outside`` lies, an absolute path."""

_LIES = {"path": "../../witness", "linkpath": "/etc/passwd", "size": "99999999999", "mode": "04755"}
_SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x", "GNU.sparse.realsize": "1" * 12}


def _chain(outside: Path) -> Archive:
    """Return an archive whose folder becomes a link to a link to the outside, and whose files lie below that."""
    target = str(outside).encode()[:100]
    return (
        honest()
        .bend(FOLDER, header=header(b"pkg", kind=b"2", link=b"entry.py"))
        .bend(1, header=header(b"entry.py", kind=b"2", link=target), data=b"")
    )


def _twice() -> Archive:
    """Return an archive that holds entry.py a second time, with other bytes; the manifest lists it once."""
    bent = honest()
    bent.members.insert(2, bent.members[1])
    return bent.bend(2, header=ustar.file_header("entry.py", 0o644, len(EVIL)), data=EVIL)


NAMES: Kinds = {
    "absolute path": lambda outside: entry(str(outside)[:99], name=f"{outside}/x".encode()[-100:].rjust(99, b"/")),
    "absolute path, listed": lambda outside: listed(f"{outside}/evil", "absolute", f"{outside}/evil"[:60]),
    "parent": lambda _: entry("'../witness'", name=b"../witness"),
    "parent, listed": lambda _: listed("../witness", "'../witness'", "'..' part"),
    "parent inside": lambda _: entry("'pkg/../../witness'", name=b"pkg/../../witness"),
    "parent inside, listed": lambda _: listed("entry.py/../../witness", "'entry.py/../../witness'"),
    "parent in the prefix": lambda _: shot(
        honest().bend(1, header=_prefixed(b"../..", b"entry.py")), "'../../entry.py'"
    ),
    "back-slash": lambda _: listed("..\\witness", "'..\\\\witness'", "back-slash"),
    "drive letter": lambda _: listed("C:evil", "'C:evil'"),
    "alternate stream": lambda _: listed("evil.py:hidden", "'evil.py:hidden'"),
    "duplicate": lambda _: fitted(_twice(), "a file named 'entry.py'"),
    "duplicate, listed": lambda _: both(["entry.py", "entry.py"], [], "'entry.py'", "stands twice"),
    "case collision": lambda _: both(["Entry.py", "entry.py"], [], "'entry.py'", "only in case"),
    "case collision of folders": lambda _: both(["PKG/a", "entry.py", "pkg/b"], ["PKG", "pkg"], "'pkg'"),
    "unicode-normalisation collision": lambda _: both(
        ["caf\u0065\u0301.py", "caf\u00e9.py", "entry.py"], [], r"'cafe\u0301.py'", "outside the allowed"
    ),
    "compatibility look-alike": lambda _: listed("\uff0e\uff0e/evil", r"\uff0e\uff0e"),
    "reserved on Windows": lambda _: listed("pkg/nul.txt", "'pkg/nul.txt'", "device name"),
    "trailing dot": lambda _: listed("evil.", "'evil.'", "dot or space"),
    "reserved: COMPLETE": lambda _: listed("COMPLETE", "'COMPLETE'", "keeps for itself"),
    "reserved: GOOD": lambda _: listed("GOOD", "'GOOD'", "keeps for itself"),
    "reserved: BAD": lambda _: listed("bad", "'bad'", "keeps for itself"),
    "reserved: MANIFEST": lambda _: listed("MANIFEST", "'MANIFEST'", "keeps for itself"),
    "right-to-left name": lambda _: entry(r"entry\u202eyp.py", name="entry\u202eyp.py".encode()),
    "right-to-left name, listed": lambda _: listed("entry\u202eyp.py", r"entry\u202eyp.py", "direction"),
    "control characters": lambda _: entry(r"\x1b]0;evil\x07\n", name=b"\x1b]0;evil\x07\n"),
    "control characters, listed": lambda _: listed("\x1b[2Jevil", r"\x1b[2Jevil", "control"),
    "nul inside": lambda _: entry("'entry.py'", name=b"entry.py\0../../x"),
    "not utf-8": lambda _: entry(r"\ufffd\ufffd", name=b"\xff\xfe"),
    "name too long": lambda _: listed("b" * 101, "'bbbb", "more than 100"),
    "PATH_MAX": lambda _: listed("/".join(["d" * 99] * 41), "'dddd", "characters"),
    "nesting depth": lambda _: listed("a/" * 24 + "b", "'a/a/a", "deeper than 24"),
    "GNU long name": lambda _: extended(
        b"../" * 2000 + b"witness\0", b"L", b"././@LongLink", "a GNU long name", "'././@LongLink'"
    ),
}

TYPES: Kinds = {
    "symlink": lambda outside: entry(
        "a symbolic link named 'entry.py' to", kind=b"2", link=str(outside).encode()[:100]
    ),
    "symlink in place of a folder": lambda _: headed(
        FOLDER, "a symbolic link named 'pkg' to '../../..'", name=b"pkg", kind=b"2", link=b"../../.."
    ),
    "symlink chain": lambda outside: fitted(_chain(outside), "a symbolic link named 'entry.py'"),
    "symlink in place of the manifest": lambda _: shot(
        honest().bend(0, header=header(b"MANIFEST", kind=b"2", size=len(honest().members[0].data), link=b"x")),
        "a symbolic link named 'MANIFEST'",
    ),
    "hard link": lambda _: entry("a hard link named 'entry.py' to '../witness'", kind=b"1", link=b"../witness"),
    "character device": lambda _: entry("a character device named 'entry.py'", kind=b"3"),
    "block device": lambda _: entry("a block device named 'entry.py'", kind=b"4"),
    "FIFO": lambda _: entry("a FIFO named 'entry.py'", kind=b"6"),
    "contiguous file": lambda _: entry("a contiguous file named 'entry.py'", kind=b"7"),
    "directory replaced by a file": lambda _: headed(FOLDER, "a file named 'pkg'", name=b"pkg"),
    "file replaced by a directory": lambda _: entry("a directory named 'entry.py/'", kind=b"5", name=b"entry.py/"),
    "sparse, GNU": lambda _: entry("a sparse file named 'entry.py'", kind=b"S"),
    "sparse, pax": lambda _: extended(
        pax(_SPARSE), b"x", b"./GNUSparseFile.0/entry.py", "an extended header", "GNUSparseFile.0/entry.py"
    ),
    "pax header lies": lambda _: extended(
        pax(_LIES), b"x", b"PaxHeaders/entry.py", "an extended header named 'PaxHeaders/entry.py'"
    ),
    "global pax header lies": lambda _: extended(
        pax(_LIES), b"g", b"pax_global_header", "a global extended header named 'pax_global_header'"
    ),
    "unknown type": lambda _: entry("of unknown type 'Z' named 'entry.py'", kind=b"Z"),
}

FIELDS: Kinds = {
    "set-uid": lambda _: entry("named 'entry.py', mode '0004755'", mode=0o4755),
    "set-uid, listed": lambda _: listed("evil", "not readable", changes={"mode": "4755"}),
    "set-gid": lambda _: entry("named 'entry.py', mode '0002755'", mode=0o2755),
    "sticky": lambda _: entry("named 'entry.py', mode '0001644'", mode=0o1644),
    "world-writable": lambda _: entry("named 'entry.py', mode '0000666'", mode=0o666),
    "world-writable directory": lambda _: headed(
        FOLDER, "a directory named 'pkg/', mode '0000777'", name=b"pkg/", kind=b"5", mode=0o777
    ),
    "owner": lambda _: entry("a file named 'entry.py'", owner=65534),
    "negative size": lambda _: entry("named 'entry.py'", "size -1", size=b"-0000000001\0"),
    "overflowing size": lambda _: entry("named 'entry.py'", "size -1", size=b"\x80" + b"\xff" * 11),
    "huge size": lambda _: entry("named 'entry.py'", f"size {8**11 - 1}", size=8**11 - 1),
    "size larger than the content": lambda _: entry("named 'entry.py'", f"size {SIZE + 512}", size=SIZE + 512),
    "negative size, listed": lambda _: listed("evil", "'evil' is malformed", changes={"size": -1}),
    "wrong checksum of a header": lambda _: entry("a file named 'entry.py'", spoil_checksum=True),
}


def _prefixed(prefix: bytes, name: bytes) -> bytes:
    """Return a header whose path is spread over two fields."""
    block = header(name, size=SIZE)
    block = block[:345] + prefix.ljust(155, b"\0") + block[500:]
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + b"%06o\0 " % total + block[156:]


ENTRIES: Kinds = {**NAMES, **TYPES, **FIELDS}
