"""The service's first file: which program it becomes, whatever became of the others."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher import own, starter
from fleetroll_agent.launcher.starter import TRIES, Choice
from tests.faults.launcher_places import place_with, program, start, tear, words

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = program("1.0.0"), program("1.1.0")
RUN = ("run", "--state", "x")


def said(name: str) -> str:
    return words([name, *RUN])


def test_the_program_that_the_line_names_gets_the_arguments_and_its_exit_code_is_passed_on(tmp_path: Path) -> None:
    """The starter becomes the current program, and ends as it ends."""
    place = place_with(tmp_path, program("1.0.0", code=7), NEW)
    done = start(place, *RUN)
    assert (done.returncode, done.stdout, done.stderr) == (7, said("1.0.0"), "")


@pytest.mark.parametrize("line", [b"", b"\0" * 60, b"fleetroll-launcher 1 1.0.0 - - 00000000\n", None])
def test_a_line_that_is_damaged_or_gone_leads_to_a_complete_program(tmp_path: Path, line: bytes | None) -> None:
    """Of the complete programs the one that was kept is taken before a newer one that never was."""
    place = place_with(tmp_path, OLD, NEW)
    record = place.folder / starter.RECORD_NAME
    record.unlink() if line is None else record.write_bytes(line)
    assert start(place, *RUN).stdout == said("1.0.0")


@pytest.mark.parametrize("fault", ["torn", "gone", "no complete", "link", "raises", "exits"])
def test_a_program_that_is_not_whole_is_passed_over_for_the_one_before(tmp_path: Path, fault: str) -> None:
    """Whatever is wrong with the current program, the previous one starts, and the reason is said."""
    broken = {"raises": "raise RuntimeError('no')\n", "exits": "raise SystemExit(0)\n"}.get(fault)
    new = program("1.1.0", broken)
    place = place_with(tmp_path, new, OLD, choice=Choice(new.name, OLD.name))
    folder = place.folder / starter.PROGRAMS / new.name
    if fault == "torn":
        tear(place, new.name)
    elif fault == "gone":
        shutil.rmtree(folder)
    elif fault == "no complete":
        (folder / starter.COMPLETE).unlink()
    elif fault == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    done = start(place, *RUN)
    assert (done.returncode, done.stdout) == (0, said("1.0.0"))
    assert new.name in done.stderr


def test_a_program_on_trial_is_started_as_often_as_it_has_tries_then_the_one_before_is(tmp_path: Path) -> None:
    """The tries bound what an upgrade that nobody watches any more can do."""
    place = place_with(tmp_path, NEW, OLD, choice=Choice(NEW.name, OLD.name, "upgrade-1"))
    outputs = [start(place, *RUN).stdout for _start in range(TRIES + 2)]
    assert outputs == [said("1.1.0")] * TRIES + [said("1.0.0")] * 2
    with place.lock():
        place.choose(Choice(NEW.name, OLD.name, "upgrade-2"))
    assert start(place, *RUN).stdout == said("1.1.0"), "another upgrade has tries of its own"


def test_a_try_that_can_not_be_counted_is_not_used(tmp_path: Path) -> None:
    """On a disk that takes nothing the proven program starts."""
    place = place_with(tmp_path, NEW, OLD, choice=Choice(NEW.name, OLD.name, "upgrade-1"))
    (place.folder / f"{starter.TRIES_NAME}.new").mkdir()
    done = start(place, *RUN)
    assert done.stdout == said("1.0.0")
    assert "can't be counted" in done.stderr


def test_a_program_without_tries_is_better_than_none(tmp_path: Path) -> None:
    """When nothing else is whole, the program whose tries are used up starts all the same."""
    place = place_with(tmp_path, NEW, OLD, choice=Choice(NEW.name, OLD.name, "upgrade-1"))
    tear(place, OLD.name)
    assert [start(place, *RUN).stdout for _start in range(TRIES + 1)] == [said("1.1.0")] * (TRIES + 1)


def test_a_place_without_a_complete_program_gets_a_sentence(tmp_path: Path) -> None:
    """Nothing to start is exit code 1 and what to do."""
    place = place_with(tmp_path, OLD)
    tear(place, OLD.name)
    done = start(place, *RUN)
    assert (done.returncode, done.stdout) == (1, "")
    assert "install the service again" in done.stderr


def test_a_starter_that_does_not_stand_in_a_place_refuses(tmp_path: Path) -> None:
    """Without an own path nothing is started."""
    place = place_with(tmp_path, OLD)
    place.starter.rename(tmp_path / "starter.py")
    place.starter = tmp_path / "starter.py"
    done = start(place, *RUN)
    assert done.returncode == 1
    assert "OWN_PATH_UNRESOLVED" in done.stderr


def test_which_names_the_program_and_uses_no_try(tmp_path: Path) -> None:
    """Asking changes nothing."""
    place = place_with(tmp_path, NEW, OLD, choice=Choice(NEW.name, OLD.name, "upgrade-1"))
    before = sorted(place.folder.iterdir())
    assert start(place, "which").stdout == f"{NEW.name}\n"
    assert sorted(place.folder.iterdir()) == before


@pytest.mark.parametrize(("main", "code"), [(None, 0), ("raise RuntimeError\n", 1), ("x = 1\n", 1)])
def test_check_loads_a_program_and_runs_nothing(tmp_path: Path, main: str | None, code: int) -> None:
    """A launcher that can't be imported is found out before anything names it."""
    new = program("1.1.0", main)
    place = place_with(tmp_path, OLD, new)
    done = start(place, "check", new.name)
    assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.parametrize(
    "choice", [Choice("1.0.0+dev-1"), Choice("b", "a"), Choice("b", "a", "0123abcd"), Choice("b", "", "id")]
)
def test_the_line_is_read_as_it_was_written_and_in_no_other_way(choice: Choice) -> None:
    """Each flipped bit, each shorter line and each name with a separator is refused."""
    line = starter.encode(choice)
    assert starter.decode(line) == choice
    for index in range(len(line)):
        flipped = bytearray(line)
        flipped[index] ^= 1
        assert starter.decode(bytes(flipped)) is None
        assert starter.decode(line[:index]) is None
    assert starter.decode(starter.encode(Choice("../b"))) is None


def test_a_launcher_knows_its_own_name_only_in_a_place(tmp_path: Path) -> None:
    """An installed package is no program of a place."""
    place = place_with(tmp_path, OLD)
    file = place.folder / starter.PROGRAMS / OLD.name / "fleetroll_agent" / "launcher" / "own.py"
    assert own.own_program(str(file)) == own.Own(str(place.folder.resolve()), OLD.name)
    assert own.own_program() == own.Own()


def test_a_launcher_keeps_itself_unless_a_helper_watches(tmp_path: Path) -> None:
    """The lock of the place decides who ends a trial."""
    place = place_with(tmp_path, NEW, OLD, choice=Choice(NEW.name, OLD.name, "upgrade-1"))
    mine = own.Own(str(place.folder), NEW.name)
    assert own.on_trial(mine)
    with place.lock():
        assert not own.keep(mine)
    assert own.keep(mine)
    assert place.choice() == Choice(NEW.name, OLD.name)
    assert not own.on_trial(mine)
    assert own.keep(own.Own(str(place.folder), OLD.name)), "what is not current has nothing to keep"
    assert place.choice() == Choice(NEW.name, OLD.name)


def test_the_starter_runs_without_the_sites_packages(tmp_path: Path) -> None:
    """The program is found in its folder alone, and the folder comes first."""
    main = "import sys\ndef main(argv):\n    print(sys.path[0], sys.flags.isolated, sys.flags.no_site)\n    return 0\n"
    source = program("1.0.0", main)
    place = place_with(tmp_path, source)
    folder = (place.folder / starter.PROGRAMS / source.name).resolve()
    assert start(place, "run").stdout == f"{folder} 1 1\n"


def test_byte_code_stands_beside_every_module_and_is_read_in_its_place(tmp_path: Path) -> None:
    """A start compiles nothing: what COMPLETE vouches for is not compared with its source again."""
    place = place_with(tmp_path, OLD)
    folder = place.folder / starter.PROGRAMS / OLD.name
    modules = [path for path in OLD.files if path.endswith(".py")]
    caches = [folder / cache_from_source(path, optimization="") for path in modules]
    assert modules
    assert all(cache.is_file() for cache in caches)
    later = 4_000_000_000
    for path in modules:
        os.utime(folder / path, (later, later))
    assert loaded_from(place.folder, OLD.name) == [
        str(cache) for cache in caches if "launcher/__pycache__/main" in str(cache)
    ]


def loaded_from(place: Path, name: str) -> list[str]:
    """Return the byte code that Python itself opens for the launcher's entry."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import fleetroll_agent.launcher.main"
    folder = str(place / starter.PROGRAMS / name)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-v", "-c", code, folder], capture_output=True, text=True, check=True
    )
    found = re.findall(r"code object from '([^']*launcher/__pycache__/main[^']*)'", done.stderr)
    assert "code object from " + repr(f"{folder}/fleetroll_agent/launcher/main.py") not in done.stderr
    return found


def test_a_program_whose_byte_code_is_not_as_it_was_made_is_not_complete(tmp_path: Path) -> None:
    """Byte code decides what runs, so it is vouched for like every other file."""
    place = place_with(tmp_path, OLD)
    folder = place.folder / starter.PROGRAMS / OLD.name
    cache = folder / cache_from_source("fleetroll_agent/launcher/main.py", optimization="")
    cache.write_bytes(cache.read_bytes() + b"\0")
    assert not place.complete(OLD.name)


def test_a_program_that_this_python_can_not_compile_is_copied_all_the_same(tmp_path: Path) -> None:
    """Whether it works is found by its trial; a copy without byte code is whole."""
    broken = program("1.2.0", "def :\n")
    place = place_with(tmp_path, broken)
    assert place.complete(broken.name)
    folder = place.folder / starter.PROGRAMS / broken.name
    assert not (folder / cache_from_source("fleetroll_agent/launcher/main.py", optimization="")).exists()


@pytest.mark.parametrize("missing", [("_sha2", "_sha256"), ("_sha2",), ()])
def test_the_hash_is_the_same_whichever_module_has_it(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    """An interpreter built without hashes of its own takes those of its library."""
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    assert starter._find_sha256()(b"x").hexdigest() == hashlib.sha256(b"x").hexdigest()
