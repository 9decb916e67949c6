"""Each init system's files, judged by a parser of that system where there is one, and otherwise by a strict one."""

from __future__ import annotations

import configparser
import plistlib
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from fleetroll_agent.launcher.limits import MAX_STOP_SECONDS, Limits
from fleetroll_agent.service import facts as service_facts
from fleetroll_agent.service.facts import Facts, Init
from fleetroll_agent.service.templates import commands, render, systemd
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLAIN = Facts.checked("fleetroll-agent", "/var/lib/fleetroll", "/usr/bin/python3")
NASTY = Facts.checked("agent_2", '/srv/a b/it\'s "100%" $HOME `x` \\ & <é> --', "/usr/bin/python3")
BOTH = pytest.mark.parametrize("facts", [PLAIN, NASTY], ids=["plain", "nasty"])
REAL = [init for init in Init if init is not Init.NONE]
# Every key that the unit may hold, by section: a misspelt one would be passed over by systemd, with a line in a log.
KEYS = {
    "Unit": {"Description", "After", "RequiresMountsFor", "StartLimitIntervalSec"},
    "Service": {
        "Type", "NotifyAccess", "ExecStart", "Restart", "RestartSec", "TimeoutStartSec", "TimeoutStopSec",
        "WatchdogSec", "WatchdogSignal", "KillMode", "MemoryMax", "OOMPolicy", "UMask",
    },
    "Install": {"WantedBy"},
}  # fmt: skip


def only(init: Init, facts: Facts) -> tuple[str, str]:
    """Return path and content of the one file."""
    ((path, file),) = render(init, facts).items()
    return path, file.content


def unit(facts: Facts) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign] # keys keep their letters
    parser.read_string(only(Init.SYSTEMD, facts)[1])
    return parser


def words_of(line: str) -> list[str]:
    """Read a command line of a unit by systemd's rules: quotes, backslashes, doubled percents and dollars."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)]


@BOTH
def test_the_unit_has_known_keys_and_starts_exactly_the_command(facts: Facts) -> None:
    """Sections and keys are those of the table; the command line means the same words again."""
    parser = unit(facts)
    assert {name: set(parser[name]) for name in parser.sections()} == KEYS
    assert words_of(parser["Service"]["ExecStart"]) == list(facts.command)
    assert parser["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_unit_says_what_the_design_asks_for() -> None:
    """Notify, always, two seconds, no start limit, mixed kills, and a watchdog beyond the launcher's own limit."""
    service = unit(PLAIN)["Service"]
    wanted = {"Type": "notify", "NotifyAccess": "main", "Restart": "always", "RestartSec": "2", "KillMode": "mixed"}
    assert {name: service[name] for name in wanted} == wanted
    assert float(service["WatchdogSec"]) > Limits().hang + 2 * Limits().grace
    assert float(service["TimeoutStopSec"]) > 2 * Limits().grace


def test_where_nobody_can_ask_for_time_every_stop_has_what_a_launcher_may_take() -> None:
    """900 s for a command that can't be run twice, then the launcher's own grace, twice."""
    assert MAX_STOP_SECONDS + 2 * Limits().grace < service_facts.LATEST_STOP_SECONDS
    assert f"left={service_facts.LATEST_STOP_SECONDS}\n" in only(Init.SYSV, PLAIN)[1]


def verified(folder: Path, name: str, text: str) -> tuple[int, str]:
    """Let systemd judge a unit; without systemd on this machine it has no objection."""
    path = folder / f"{name}.service"
    path.write_text(text)
    program = shutil.which("systemd-analyze")
    if program is None:
        return 0, ""
    done = subprocess.run([program, "verify", "--man=no", path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@BOTH
def test_systemd_itself_reads_the_unit_without_a_word(facts: Facts, tmp_path: Path) -> None:
    """Where systemd is installed its own parser finds no unknown key, no bad value, no bad path."""
    text = only(Init.SYSTEMD, facts)[1].replace("/usr/bin/python3", "/bin/sh")
    assert verified(tmp_path, facts.name, text) == (0, "")


@pytest.mark.parametrize(
    ("word", "written"),
    [("/a/b-1.2", "/a/b-1.2"), ("a b", '"a b"'), ("100%", '"100%%"'), ("$HOME", '"$$HOME"'), ('"\\', '"\\"\\\\"')],
)
def test_words_of_a_unit_are_quoted_by_its_rules(word: str, written: str) -> None:
    """Specifiers and variables are taken as they stand."""
    assert systemd.quoted(word) == written


def test_a_path_outside_of_a_command_keeps_its_dollar() -> None:
    """Only command lines know variables."""
    assert systemd.quoted("/a$b", command=False) == '"/a$b"'


@BOTH
@pytest.mark.parametrize("init", [Init.OPENRC, Init.SYSV])
@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_scripts_are_read_by_the_shells(init: Init, facts: Facts, shell: str, tmp_path: Path) -> None:
    """Every shell that is here finds no fault in the syntax."""
    script = tmp_path / "script"
    script.write_text(only(init, facts)[1])
    program = shutil.which(shell) or "sh"
    done = subprocess.run([program, "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@BOTH
def test_the_openrc_script_means_the_command_after_both_readings(facts: Facts, tmp_path: Path) -> None:
    """OpenRC sources the script, then lets a shell read the arguments once more."""
    script = tmp_path / "script"
    script.write_text(only(Init.OPENRC, facts)[1] + '\neval printf "\'%s\\\\n\'" \'"$command"\' "$command_args"\n')
    done = subprocess.run(["sh", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(facts.command)
    for setting in ("supervisor=supervise-daemon", "respawn_delay=2", "respawn_max=0", 'retry="TERM/930/KILL/5"'):
        assert setting in script.read_text().splitlines()


def test_the_sysv_script_has_a_whole_lsb_header() -> None:
    """The keys that the tools of the run levels read are there, once each."""
    text = only(Init.SYSV, PLAIN)[1]
    header = text.partition("### BEGIN INIT INFO\n")[2].partition("### END INIT INFO")[0]
    pairs = [line.removeprefix("# ").split(":", 1) for line in header.splitlines()]
    found = {key: value.split() for key, value in pairs}
    assert len(found) == len(pairs)
    assert found["Provides"] == [PLAIN.name]
    assert (found["Default-Start"], found["Default-Stop"]) == (list("2345"), list("016"))
    assert {"Required-Start", "Required-Stop", "Short-Description", "Description"} <= set(found)


@BOTH
def test_the_property_list_is_read_back_as_it_was_meant(facts: Facts) -> None:
    """launchd's format, by its parser: the command, kept alive, ended with patience."""
    path, text = only(Init.LAUNCHD, facts)
    job = plistlib.loads(text.encode())
    assert job["ProgramArguments"] == list(facts.command)
    assert (job["Label"], job["KeepAlive"], job["RunAtLoad"], job["ExitTimeOut"]) == (facts.name, True, True, 930)
    assert path == f"/Library/LaunchDaemons/{facts.name}.plist"


def test_the_task_is_well_formed_and_starts_the_command() -> None:
    """The task's words are the command; a path with a space stands in quotes."""
    facts = Facts.checked("agent", "C:\\Program Files\\Fleetroll & Co", "C:\\Python\\python.exe")
    _path, text = only(Init.WINDOWS, facts)
    names = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    action = ET.fromstring(text).find(".//t:Exec", names)  # noqa: S314 (our own text)
    assert action is not None
    assert action.findtext("t:Command", namespaces=names) == facts.python
    starter = f"{facts.state}\\launcher\\fleetroll_launcher.py"
    assert action.findtext("t:Arguments", namespaces=names) == f'-I -S -B "{starter}" run --state "{facts.state}"'


@BOTH
@pytest.mark.parametrize("init", REAL)
def test_every_file_carries_its_mark_and_its_mode(init: Init, facts: Facts) -> None:
    """By its mark a file is known as this state folder's; scripts can be run, the others can't."""
    for file in render(init, facts).values():
        plain = file.content.replace("&#45;", "-").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
        assert f"{facts.mark}." in plain
        assert file.mode == (0o755 if init in (Init.OPENRC, Init.SYSV) else 0o644)


def programs(init: Init) -> Mapping[str, tuple[str, ...]]:
    known = commands(init, PLAIN)
    steps = {"installed": known.installed, "start": known.start, "remove": known.remove}
    return {name: tuple(command[0] for command in step) for name, step in steps.items()}


@pytest.mark.parametrize("init", REAL)
def test_every_init_system_is_asked_to_start_and_to_stop(init: Init) -> None:
    """No init system is left without a way in and a way out."""
    assert all(programs(init).values())


def test_systemd_is_never_waited_for() -> None:
    """A host without an interpreter would hold the installation for ever."""
    assert commands(Init.SYSTEMD, PLAIN).start == (("systemctl", "--no-block", "start", "fleetroll-agent.service"),)


@pytest.mark.parametrize(
    ("name", "state", "python", "field"),
    [
        ("a b", "/s", "/p", "name"),
        ("", "/s", "/p", "name"),
        ("a" * 65, "/s", "/p", "name"),
        ("../x", "/s", "/p", "name"),
        ("a", "s", "/p", "state"),
        ("a", "/s\nExecStartPre=/bin/sh", "/p", "state"),
        ("a", "/s", "python3", "python"),
        ("a", "/s", "/p\x1b", "python"),
        ("a", "/" + "s" * 1024, "/p", "state"),
    ],
)
def test_what_could_say_more_than_a_name_or_a_path_is_refused(name: str, state: str, python: str, field: str) -> None:
    """A line break in a path would be a line of the unit."""
    with pytest.raises(RequestError) as caught:
        Facts.checked(name, state, python)
    assert (caught.value.code, caught.value.details["field"]) == (Code.INVALID_ARGUMENT, field)
