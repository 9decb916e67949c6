"""Windows: a task of the system account that starts with the host and again after every end.

A service there answers the service manager in its own protocol, which a Python program can't without compiled help. A
task needs none of that. The launcher itself has no port to Windows yet, so this is a template and nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from fleetroll_agent.service.facts import File
from fleetroll_agent.service.templates.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_agent.service.facts import Facts

_TASK = """\
<?xml version="1.0" encoding="UTF-8"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Fleetroll agent. {mark}.</Description>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Enabled>true</Enabled>
    </BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="System">
      <UserId>S-1-5-18</UserId>
      <RunLevel>HighestAvailable</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="System">
    <Exec>
      <Command>{python}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def render(facts: Facts) -> Mapping[str, File]:
    """Return the task."""
    text = _TASK.format(
        mark=escape(facts.mark), python=escape(facts.python), arguments=escape(_command_line(facts.command[1:]))
    )
    return {path(facts): File(text, 0o644)}


def path(facts: Facts) -> str:
    """Return where the task's file stands; Windows keeps a copy of its own."""
    return f"{facts.state.rstrip('/')}/launcher/{facts.name}.xml"


def commands(facts: Facts) -> Commands:
    """Return the calls of schtasks."""
    return Commands(
        installed=(("schtasks", "/Create", "/F", "/TN", facts.name, "/XML", path(facts)),),
        start=(("schtasks", "/Run", "/TN", facts.name),),
        remove=(("schtasks", "/End", "/TN", facts.name), ("schtasks", "/Delete", "/F", "/TN", facts.name)),
    )


def _command_line(words: Sequence[str]) -> str:
    """Return ``words`` as one command line: in quotes where they hold a space; a path holds no quote there."""
    return " ".join(f'"{word}"' if " " in word else word for word in words)
