"""The first file of the service: it picks the launcher's program, and becomes it.

It stands as ``fleetroll_launcher.py`` in the launcher's own place, ``<state>/launcher``, and is complete in itself:
whatever the programs beside it hold, this file still starts. The launcher reads and writes the same record with it.

What it starts is the first of these that is complete, byte for byte, and can be imported:

1. what the one line of ``current`` names; on trial only while a try is left, which is used up durably beforehand;
2. what that line calls the one before;
3. any other complete program: the ones that were kept first, then the one that was made last.

Not done here: writing ``current``. A starter that is killed anywhere has changed nothing but the tries of a trial.
"""

import importlib
import json
import os
import re
import stat
import sys
import zlib
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

FILE_NAME = "fleetroll_launcher.py"
PROGRAMS = "programs"
RECORD_NAME = "current"
TRIES_NAME = "tries"
COMPLETE = "COMPLETE"
KEPT = "KEPT"
TRIES = 3
"""Starts of a program on trial: one for its upgrade, one for a power cut, one to spare."""
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}\Z")
_LINE = re.compile(r"(fleetroll-launcher 1 (\S+) (\S+) (\S+)) ([0-9a-f]{8})\n\Z")
_TRIES = re.compile(r"(\S+) (\d{1,3})\n\Z")
_NONE = "-"
_MAX_BYTES = 1024 * 1024
_MAIN = "fleetroll_agent/launcher/main.py"

Main = Callable[[List[str]], int]


def _find_sha256() -> Callable[[bytes], Any]:
    """Return the interpreter's own SHA-256: ``hashlib`` loads OpenSSL, a fifth of this process's memory."""
    for name in ("_sha2", "_sha256"):  # from 3.12 on, before
        try:
            found: Callable[[bytes], Any] = importlib.import_module(name).sha256
        except (ImportError, AttributeError):
            continue
        return found
    import hashlib  # noqa: PLC0415 (see above)

    return hashlib.sha256


_sha256 = _find_sha256()


class Choice(NamedTuple):
    """What the line in ``current`` says.

    Attributes:
        current: the program to start.
        previous: the one before it, kept for the way back; empty = none.
        trial: id of the upgrade whose program ``current`` must still prove itself; empty = it was kept.
    """

    current: str
    previous: str = ""
    trial: str = ""


def encode(choice: Choice) -> bytes:
    """Return the line, with the CRC-32 of what stands before it."""
    words = [value or _NONE for value in choice]
    text = "fleetroll-launcher 1 {}".format(" ".join(words))
    return "{} {:08x}\n".format(text, zlib.crc32(text.encode()) & 0xFFFFFFFF).encode()


def decode(data: bytes) -> Optional[Choice]:
    """Return what the line says; None when it is torn, altered, or of another format."""
    match = _LINE.match(data.decode("ascii", "replace"))
    if match is None or int(match.group(5), 16) != zlib.crc32(match.group(1).encode()) & 0xFFFFFFFF:
        return None
    names = ["" if word == _NONE else word for word in match.group(2, 3, 4)]
    if not all(NAME.match(name) for name in names if name) or not names[0]:
        return None
    return Choice(*names)


def read_choice(place: str) -> Optional[Choice]:
    """Return the record of the launcher's place; None when there is none that can be read."""
    data = _read(os.path.join(place, RECORD_NAME))
    return None if data is None else decode(data)


def tries_used(place: str, trial: str) -> int:
    """Return how many starts the trial has had; 0 when nothing legible says so."""
    data = _read(os.path.join(place, TRIES_NAME)) or b""
    match = _TRIES.match(data.decode("ascii", "replace"))
    return int(match.group(2)) if match is not None and match.group(1) == trial else 0


def read_program(place: str, name: str) -> Optional[Dict[str, Any]]:
    """Return the facts of a program whose every file is as it was made; None when it is not complete."""
    folder = os.path.join(place, PROGRAMS, name)
    data = _read(os.path.join(folder, COMPLETE)) if NAME.match(name) and _is_folder(folder) else None
    if data is None:
        return None
    try:
        facts = json.loads(data.decode())
        files = dict(facts["files"])
        if _MAIN not in files or not isinstance(facts["number"], int):
            return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    for path, digest in files.items():
        content = None if ".." in path.split("/") else _read(os.path.join(folder, path))
        if content is None or _sha256(content).hexdigest() != digest:
            return None
    return dict(facts)


def order(place: str) -> List[str]:
    """Return the names of programs in the order in which they are tried; complete or not."""
    choice = read_choice(place)
    names: List[str] = []
    if choice is not None:
        names = [choice.current, choice.previous]
        if choice.trial and tries_used(place, choice.trial) >= TRIES:
            names.reverse()
    try:
        found = os.listdir(os.path.join(place, PROGRAMS))
    except OSError:
        found = []
    ranked = sorted((rank for rank in (_rank(place, name) for name in found) if rank is not None), reverse=True)
    unique: List[str] = []
    for name in [*names, *(rank[-1] for rank in ranked)]:
        if name and name not in unique:
            unique.append(name)
    return unique


def _rank(place: str, name: str) -> Any:  # noqa: ANN401 (a tuple to sort by)
    facts = read_program(place, name)
    if facts is None:
        return None
    return os.path.lexists(os.path.join(place, PROGRAMS, name, KEPT)), facts["number"], name


def use_try(place: str, name: str) -> bool:
    """Count a start of ``name`` when it is on trial; return whether it may be started: a try is durable before it."""
    choice = read_choice(place)
    if choice is None or choice.current != name or not choice.trial:
        return True
    used = tries_used(place, choice.trial)
    path = os.path.join(place, TRIES_NAME)
    try:
        _replace(path, "{} {}\n".format(choice.trial, min(used + 1, TRIES)).encode())
    except OSError as error:
        _say("a start of {} can't be counted: {}".format(name, error.strerror))
        return False
    return used < TRIES


def programs(place: str) -> Iterator[str]:
    """Yield the complete programs in the order in which they are tried, and say which ones are passed over."""
    for name in order(place):
        if read_program(place, name) is None:
            _say("the program {} is not complete".format(name))
        else:
            yield name


def load(place: str, name: str) -> Optional[Main]:
    """Return the entry of a program; None, and the reason said, when it can't be imported."""
    folder = os.path.join(place, PROGRAMS, name)
    sys.path.insert(0, folder)
    try:
        main: Main = importlib.import_module("fleetroll_agent.launcher.main").main
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever is wrong with it, another one may start)
        _say("the program {} can't be loaded: {!r}".format(name, error))
        sys.path.remove(folder)
        for module in [known for known in sys.modules if known.partition(".")[0] == "fleetroll_agent"]:
            del sys.modules[module]
        return None
    return main


def startable(place: str) -> Iterator[Main]:
    """Yield the entries of what may be started, best first. A program without tries is better than none at all."""
    for name in programs(place):
        run = load(place, name) if use_try(place, name) else None
        if run is not None:
            yield run
    for name in programs(place):
        run = load(place, name)
        if run is not None:
            yield run


def own_place() -> str:
    """Return the folder that this file really stands in; empty when that can't be told."""
    path = os.path.realpath(globals().get("__file__") or "")
    place = os.path.dirname(path)
    return place if os.path.isfile(path) and os.path.isdir(os.path.join(place, PROGRAMS)) else ""


def main(argv: List[str]) -> int:
    """Run the launcher with ``argv``; ``which`` names the program instead, ``check NAME`` only loads one."""
    place = own_place()
    if not place:
        _say("it can't find the folder that it runs from (OWN_PATH_UNRESOLVED); install the service again")
        return 1
    if argv[:1] == ["check"]:
        return 0 if len(argv) > 1 and read_program(place, argv[1]) and load(place, argv[1]) else 1
    if argv[:1] == ["which"]:
        name = next(programs(place), "")
        sys.stdout.write(name + "\n")
        return 0 if name else 1
    run = next(startable(place), None)
    if run is not None:
        return run(argv)
    _say("there is no complete program in {}; install the service again".format(place))
    return 1


def _is_folder(path: str) -> bool:
    """Tell whether a folder stands there, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _read(path: str) -> Optional[bytes]:
    """Return the content of a plain file; None for anything else, and for what can't be read."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return None
    try:
        with os.fdopen(handle, "rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError:
        return None


def _replace(path: str, data: bytes) -> None:
    """Replace a file durably. The launcher's own functions are not at hand here: a program may be broken."""
    staged = path + ".new"
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(staged, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _say(text: str) -> None:
    try:
        sys.stderr.write("fleetroll-launcher: {}\n".format(text))
    except (OSError, ValueError, AttributeError):
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
