"""Installs, removes and shows the service of a state folder. Doing it again changes nothing.

Below another root everything is written and nothing is run: that is for images, whose host is another one.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.starter import Choice
from fleetroll_agent.service import host
from fleetroll_agent.service.facts import Facts, Init
from fleetroll_agent.service.place import Place, running_source
from fleetroll_agent.service.record import Installed, read_installed, write_installed
from fleetroll_agent.service.templates import commands, render
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.durable import sync_dir, write_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_agent.service.facts import File
    from fleetroll_agent.service.place import Source

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for on the command line.

    Attributes:
        state: absolute path of the state folder, as the host will see it.
        name: of the service.
        init: None = the one that is found.
        root: where the host's files are; ``/`` is this host.
        python: of the launcher; empty = a stable one that is found.
        force: also replace or remove a file that is not this service's own.
    """

    state: Path
    name: str
    init: Init | None = None
    root: Path = ROOT
    python: str = ""
    force: bool = False

    def below(self, path: str | Path) -> Path:
        """Return where ``path`` of the host stands here."""
        return self.root / str(path).lstrip("/")


def install(wish: Wish, run: host.Runner = host.run, source: Source | None = None) -> list[str]:
    """Write the launcher's place and the service's files, and start the service; return sentences for people.

    Args:
        wish: what is asked for.
        run: asks the init system.
        source: the launcher that is copied; None = this program's.

    Raises:
        RequestError: NOT_FOUND: no state folder; ALREADY_EXISTS: a file is somebody else's (the caller's fault).
        AgentError: no init system is found, there is no Python, the disk refuses, or the init system's command fails.
    """
    source = running_source() if source is None else source
    init, facts = _chosen(wish)
    wanted = render(init, facts)
    for path, file in wanted.items():
        _refuse_strangers(wish, wish.below(path), file, facts)
    said = _prepare(wish, source)
    write_installed(wish.below(wish.state), Installed(init, facts.name, facts.python))
    said += [_write(wish.below(path), file) for path, file in wanted.items()]
    known = commands(init, facts)
    said.append(_ask(wish, init, (*known.installed, *known.start), run))
    if not host.runs(init):
        said.append(f"it is started with: {shlex.join(facts.command)}")
    return [sentence for sentence in said if sentence]


def uninstall(wish: Wish, run: host.Runner = host.run_stop) -> list[str]:
    """Stop the service and remove its files; the state folder and the launcher's place stay. Return sentences.

    Raises:
        RequestError: ALREADY_EXISTS: a file is somebody else's.
        AgentError: no init system is found, or the disk refuses. A service that can't be stopped is only said:
            its files go all the same, and nothing starts it any more.
    """
    init, facts = _chosen(wish)
    here = [(wish.below(path), file) for path, file in render(init, facts).items()]
    present = [path for path, file in here if path.exists() and not _refuse_strangers(wish, path, file, facts)]
    if not present:
        return [f"{wish.name} is not installed; nothing was changed"]
    known = commands(init, facts)
    said = [_tell(wish, init, known.remove, run)]
    for path in present:
        with typed_disk_errors(f"removing {path}"):
            path.unlink()
            sync_dir(path.parent)
        said.append(f"removed {path}")
    said.append(_tell(wish, init, known.removed, run))
    return [sentence for sentence in said if sentence]


def read_service(wish: Wish) -> dict[str, Any]:
    """Return what is installed, and what of it is as this program would write it, as plain JSON values.

    Raises:
        AgentError: no init system is found.
    """
    state = wish.below(wish.state)
    installed = read_installed(state)
    if installed is not None:
        name, python = installed.name, wish.python or installed.python
        wish = replace(wish, name=name, init=wish.init or installed.init, python=python)
    init, facts = _chosen(wish)
    place = Place(state)
    choice = place.choice()
    return {
        "init": init.value,
        "init_runs": wish.root == ROOT and host.runs(init),
        "name": facts.name,
        "files": {path: _compare(wish.below(path), file, facts) for path, file in render(init, facts).items()},
        "launcher": place.usable(),
        "previous": "" if choice is None else choice.previous,
        "on_trial": choice is not None and choice.trial != "",
    }


def _chosen(wish: Wish) -> tuple[Init, Facts]:
    init = wish.init or host.detect(wish.root)
    if init is None:
        text = "no init system is found that runs this host"
        remedy = (
            f"name one with --init (none: only the launcher's place); by hand: fleetroll-agent run --state {wish.state}"
        )
        raise AgentError(text, code=Code.NOT_FOUND, remedy=remedy)
    elsewhere = wish.root != ROOT
    python = wish.python or ("/usr/bin/python3" if elsewhere else host.stable_python())
    return init, Facts.checked(wish.name, str(wish.state), python)


def _prepare(wish: Wish, source: Source) -> list[str]:
    """Make the launcher's place ready; a launcher that is there stays: only an upgrade changes it."""
    state = wish.below(wish.state)
    if not state.is_dir() and wish.root == ROOT:
        text = f"state: there is no folder {wish.state}"
        raise RequestError(text, code=Code.NOT_FOUND, remedy="enrol this host first", field="state")
    place = Place(state)
    place.make()
    with place.lock():
        place.write_starter(source)
        there = place.usable()
        if there:
            more = "" if there == source.name else f"; {source.name} takes its place with: {_upgrade(wish)}"
            return [f"the launcher {there} stays{more}"]
        place.choose(Choice(place.add(source)))
    return [f"the launcher {source.name} is in its place"]


def _upgrade(wish: Wish) -> str:
    return f"fleetroll-agent launcher-upgrade --state {wish.state}"


def _refuse_strangers(wish: Wish, path: Path, file: File, facts: Facts) -> bool:
    """Return False; a file that this service did not write is refused, unless that is wanted.

    Raises:
        RequestError: ALREADY_EXISTS.
    """
    if wish.force or _compare(path, file, facts) != "foreign":
        return False
    text = f"{path} is there and was not made for {wish.state} by this program"
    remedy = "look at it; then move it away, choose another --name, or add --force"
    raise RequestError(text, code=Code.ALREADY_EXISTS, remedy=remedy, path=str(path))


def _compare(path: Path, file: File, facts: Facts) -> str:
    """Return ``absent``, ``same``, ``older`` (ours, but other content) or ``foreign``."""
    try:
        data = files.read_small(str(path))
    except OSError:
        return "foreign"
    if data is None:
        return "absent"
    text = data.decode("utf-8", "replace")
    if text == file.content:
        return "same"
    return "older" if f"{facts.mark}." in text.replace("&#45;", "-") else "foreign"


def _write(path: Path, file: File) -> str:
    with typed_disk_errors(f"writing {path}"):
        if not path.is_symlink() and path.is_file() and path.read_text("utf-8", "replace") == file.content:
            return f"{path} is as it should be"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, file.content.encode(), file.mode)
    return f"wrote {path}"


def _ask(wish: Wish, init: Init, wanted: Sequence[Sequence[str]], run: host.Runner) -> str:
    """Run the commands where the init system really is; return a sentence.

    Raises:
        AgentError: one of them failed; what was written stays.
    """
    if wish.root != ROOT:
        return "nothing was started: this is another root"
    if not host.runs(init):
        return "nothing was started" if init is Init.NONE else f"nothing was started: {init.value} does not run here"
    for command in wanted:
        failed = run(command)
        if failed:
            remedy = "the files are written; mend what it says and run install again"
            raise AgentError(failed, code=Code.STEP_FAILED, remedy=remedy)
    return f"started by {init.value}"


def _tell(wish: Wish, init: Init, wanted: Sequence[Sequence[str]], run: host.Runner) -> str:
    """Run the commands where the init system really is; return what went wrong."""
    if wish.root != ROOT or not host.runs(init):
        return ""
    return "; ".join(failed for failed in (run(command) for command in wanted) if failed)
