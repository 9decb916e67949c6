"""Writes the generated pages below docs/.

Each page is a pure function of the code it documents; a test makes every page again and compares it with the committed
one. Usage: python -m tools.house.docs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.house import contract, programs

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor_pb2 import FileDescriptorSet

DOCS = contract.ROOT / "docs"
NOTE = "<!-- Made by `make docs`. -->"
AGENT_SETTINGS = """\
`agent.toml` in the state folder, in TOML 1.0 and UTF-8, read when the agent starts. Every table may be left out;
without the file all has its default. What is wrong is refused with file, line, key, value and remedy, the first
fault first; the agent does not start on settings that it does not understand. A key belongs to the header above it: a
product's own keys stand before its tables.

```toml
[host]
order = ["db", "shop"]

[products.shop]
kind = "slots"
unit = "shop.service"
windows = ["mon-fri 22:00-05:00 Europe/Berlin", "sat,sun 00:00-24:00 local"]

[products.shop.health]
url = "http://127.0.0.1:8080/health"
version = "version"

[products.db]
kind = "command"
auto_update = true
time_limit_seconds = 900

[products.db.hooks]
backup = ["/usr/local/lib/db/backup"]
pull = ["/usr/local/lib/db/pull"]
migrate = ["/usr/local/lib/db/migrate", "--yes"]
smoke = ["/usr/local/lib/db/smoke"]
switch = ["/usr/local/lib/db/switch"]
rollback = ["/usr/local/lib/db/rollback"]
restore = ["/usr/local/lib/db/restore"]
```"""


def rpc_page(files: FileDescriptorSet) -> str:
    """Return the reference of every service and RPC: rights, messages, and what the contract says."""
    lines = [
        "# RPCs",
        "",
        NOTE,
        "",
        "Roles are ordered: an admin may do all that an operator may, an operator all that a viewer may.",
    ]
    service = ""
    for rpc in contract.rpcs(files):
        owner, _, method = rpc.path.removeprefix("/").rpartition("/")
        if owner != service:
            service = owner
            lines += ["", f"## {owner}", ""]
        role = rpc.role.removeprefix("ROLE_").lower() or "undeclared"
        scope = f", scope `{rpc.scope}`" if rpc.scope else ""
        lines += [f"### {method}", "", f"`{rpc.request}` → `{rpc.response}` · {role}{scope}", "", rpc.comment, ""]
    return "\n".join(lines).rstrip() + "\n"


def codes_page(files: FileDescriptorSet) -> str:
    """Return the list of codes that errors, refusals and reports carry, with what the contract says of each."""
    lines = [
        "# Codes",
        "",
        NOTE,
        "",
        "Every error, refusal and failed attempt carries one of these; they are stable.",
        "",
    ]
    return "\n".join([*lines, *(f"- `{name}`: {said}" for name, said in contract.reasons(files))]) + "\n"


def command_page(_files: FileDescriptorSet) -> str:
    """Return the reference of the command line."""
    return "\n".join(["# The command line", "", NOTE, *programs.command_lines()]) + "\n"


def settings_page(_files: FileDescriptorSet) -> str:
    """Return the reference of the server's settings."""
    said = "Read from `fleetroll-server.toml` in the data folder, then the environment, then the command line."
    return "\n".join(["# Settings of the server", "", NOTE, "", said, *programs.setting_lines()]) + "\n"


def agent_settings_page(_files: FileDescriptorSet) -> str:
    """Return the reference of a host's settings."""
    return "\n".join(["# Settings of a host", "", NOTE, "", AGENT_SETTINGS, *programs.agent_setting_lines()]) + "\n"


def keys_page(_files: FileDescriptorSet) -> str:
    """Return the list of the console's keys."""
    return "\n".join(["# Keys of the console", "", NOTE, *programs.key_lines()]) + "\n"


# Writer of each page by its path below docs/.
PAGES: dict[str, Callable[[FileDescriptorSet], str]] = {
    "keys.md": keys_page,
    "reference/agent-settings.md": agent_settings_page,
    "reference/codes.md": codes_page,
    "reference/command-line.md": command_page,
    "reference/rpc.md": rpc_page,
    "reference/settings.md": settings_page,
}


def main() -> None:
    """Write every page."""
    files = contract.image()
    for name, write in PAGES.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(write(files), "utf-8")


if __name__ == "__main__":
    main()
