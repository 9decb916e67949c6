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


def keys_page(_files: FileDescriptorSet) -> str:
    """Return the list of the console's keys."""
    return "\n".join(["# Keys of the console", "", NOTE, *programs.key_lines()]) + "\n"


# Writer of each page by its path below docs/.
PAGES: dict[str, Callable[[FileDescriptorSet], str]] = {
    "keys.md": keys_page,
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
