"""The tables of ``agent.toml`` that are about one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.settings import formats
from fleetroll_agent.settings.host_table import DOWNLOAD, GO, HOST, IDENTITY, MAX_URL_CHARS, RECONNECT
from fleetroll_agent.settings.product import Health, Hook, Hooks, HttpCheck, Kind, Product
from fleetroll_agent.settings.readers import (
    absolute_path,
    auto_update,
    choice,
    command,
    number,
    patterns,
    several,
    text,
    truth,
    whole,
)
from fleetroll_agent.settings.table import DAY_SECONDS, MANAGED, PLACED, Key, Section
from fleetroll_common.values.signed_fields import MAX_CHANNELS

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_WINDOWS = 32
MAX_BACKUP_MIB = 1 << 24
"""16 TiB: more is a slip of the unit."""

_HOOK_MEANINGS: Mapping[Hook, tuple[str, frozenset[Kind]]] = {
    Hook.BACKUP: (
        "Saves the data; the last line of its output is the backup's id. Required with kind `command`, and `restore`.",
        MANAGED,
    ),
    Hook.PULL: ("Fetches the new version; required.", frozenset({Kind.COMMAND})),
    Hook.MIGRATE: ("Changes the data, when the release says that migrations are required.", MANAGED),
    Hook.SMOKE: ("Tries the new version before the switch. Required with kind `command`.", MANAGED),
    Hook.SWITCH: ("Puts the new version in place; required.", frozenset({Kind.COMMAND})),
    Hook.RESTART: ("Starts the product again after the switch, instead of the unit's restart.", MANAGED),
    Hook.RELOAD: ("Tells the product about new files, where nothing has to be restarted.", PLACED),
    Hook.ROLLBACK: (
        "Puts the previous version back, or runs after the agent did. Without it kind `command` can't go back.",
        MANAGED,
    ),
    Hook.RESTORE: ("Brings the backup back whose id it is given. Required with `migrate`.", MANAGED),
    Hook.VERSION: ("Prints the version that is installed, on its last line.", MANAGED),
}
HOOKS = Section(
    "products.NAME.hooks",
    "Commands of this machine; no shell comes near them. Nobody but this file and the signed release names commands.",
    tuple(Key(hook.value, command(), meaning, kinds=kinds) for hook, (meaning, kinds) in _HOOK_MEANINGS.items()),
    (Hooks,),
    kinds=MANAGED,
)
TIME_LIMITS = Section(
    "products.NAME.time_limits",
    "Limits of single commands, in place of `time_limit_seconds`.",
    tuple(
        Key(key.name, whole(1, DAY_SECONDS), f"Limit of `{key.name}`.", "seconds", key.kinds, "`time_limit_seconds`")
        for key in HOOKS.keys
    ),
    kinds=MANAGED,
)
IDEMPOTENT = Section(
    "products.NAME.idempotent",
    "Commands that may run twice: after a crash they are run again, where the others lead to a roll-back. "
    '`idempotent = ["smoke"]` among the product\'s own keys says the same.',
    tuple(
        Key(key.name, truth(), f"Whether `{key.name}` may run twice.", kinds=key.kinds, default="`false`")
        for key in HOOKS.keys
    ),
    kinds=MANAGED,
    brief=several(choice(Hook), len(Hook), "names of commands"),
)
CHECKS = ("url", "tcp", "command", "unit")
HEALTH = Section(
    "products.NAME.health",
    "How the host asks whether the product works: one of `url`, `tcp`, `command` and `unit`. By default the product's "
    "`unit` is asked for, where it has one. A probe that fails to ask counts as not healthy.",
    (
        Key(
            "url",
            text("http or https URL", MAX_URL_CHARS, formats.probe_url, '"http://127.0.0.1:8080/health"'),
            "Asked by GET.",
        ),
        Key("status", whole(100, 599), "The status that the answer must have; with `url` alone."),
        Key("body", text("text", 1000, str, '"ok"'), "Text that the answer must hold; with `url` alone."),
        Key(
            "version",
            text("names of fields with dots between them", 200, formats.fields, '"status.version"'),
            "The field of the answer, as JSON, that holds the version, which must be the release's; with `url` alone.",
        ),
        Key("tcp", text("`host:port`", 300, formats.address, '"127.0.0.1:8080"'), "Something accepts a connection."),
        Key("command", command(), "The command ends with 0."),
        Key("unit", text("name of a unit", 255, formats.unit, '"shop.service"'), "The unit is active."),
        Key("interval_seconds", number(0.1, 3600), "Between two probes.", "seconds"),
        Key(
            "start_seconds",
            number(0, DAY_SECONDS, above=True),
            "How long the first healthy answer may take.",
            "seconds",
        ),
        Key("timeout_seconds", number(0.1, 600), "Of one probe.", "seconds"),
    ),
    (Health, HttpCheck),
    kinds=MANAGED,
)

PRODUCT = Section(
    "products.NAME",
    "One product. `[products.agent]` is the agent itself; it may be left out.",
    (
        Key(
            "kind",
            choice(Kind),
            "What the product is: versioned directories, one file, or commands of this machine. `agent` is for "
            "`[products.agent]` alone, which may leave it out.",
            default="required",
        ),
        Key(
            "auto_update",
            auto_update(),
            "Which updates the host takes: what a person starts, all, or none.",
        ),
        Key(
            "allowed_channels",
            several(
                text("name of a channel", 63, formats.channel, '"stable"'), MAX_CHANNELS, "names of channels", least=1
            ),
            "Releases of other channels are refused.",
            default="any",
        ),
        Key(
            "pin",
            text("`major N`, `minor N.N` or `patch N.N.N`", 40, formats.pin, '"minor 1.4"'),
            "The part of the version that may not change.",
        ),
        Key(
            "min_update_interval_seconds",
            whole(0, 30 * DAY_SECONDS),
            "Between two updates. Roll-backs don't count.",
            "seconds",
        ),
        Key("retry_bad", truth(), "Whether a release that failed here may be tried again when a person asks for it."),
        Key(
            "override_local",
            truth(),
            "Whether the server may end a hold that was set on this host. No server asks for that yet.",
        ),
        Key(
            "windows",
            several(
                text("days, times and zone", 120, formats.window, '"mon-fri 22:00-05:00 Europe/Berlin"'),
                MAX_WINDOWS,
                "windows such as `mon-fri 22:00-05:00 Europe/Berlin`",
            ),
            "When work may begin; what has begun is never cut. The zone is an IANA name, or `local`, the host's own. "
            "None: always. [More](../operating/README.md#windows-of-maintenance).",
        ),
        Key(
            "redact", patterns(), "What fits is made unreadable in the output of commands, line by line.", kinds=MANAGED
        ),
        Key("lock_command", command(), "Run before an update: 0 is free, everything else locked.", kinds=MANAGED),
        Key(
            "lock_deferrals",
            whole(0, 100_000),
            "How often a lock may put an update off, about once a minute.",
            "deferrals",
        ),
        Key("time_limit_seconds", whole(1, DAY_SECONDS), "Limit of each command.", "seconds", MANAGED),
        Key(
            "expected_seconds",
            whole(1, DAY_SECONDS),
            "How long the work takes, from the permit on: a window must have as much left.",
            "seconds",
        ),
        Key(
            "unit",
            text("name of a unit", 255, formats.unit, '"shop.service"'),
            "The service that runs the product: restarted after the switch, and asked for its health.",
            kinds=MANAGED,
        ),
        Key("path", absolute_path(), "The file; required.", kinds=frozenset({Kind.FILE})),
        Key(
            "link",
            absolute_path(),
            "A symlink to the current version, for the service's unit. It decides nothing.",
            kinds=frozenset({Kind.SLOTS}),
        ),
        Key(
            "backup_mib",
            whole(0, MAX_BACKUP_MIB),
            "What the command `backup` writes, by your own estimate: without so much room no update begins. 0: "
            "unknown, and nothing is asked. [More](../operating/README.md#room-on-a-host).",
            "MiB",
            MANAGED,
        ),
        Key(
            "backup_folder",
            absolute_path(),
            "Where the backup is written, for `backup_mib`: the disk that is asked for room.",
            kinds=MANAGED,
            default="the folder of `link` or `path`, else the state folder",
        ),
        Key(
            "user",
            text("name of a user", 32, formats.user, '"shop"'),
            "Whom the commands run as.",
            kinds=MANAGED,
            default="the agent's own user",
        ),
        Key(
            "revert_on_lost_contact",
            truth(),
            "Whether the product goes back when the server is out of reach after the "
            "switch: for products that can cut a host off.",
            kinds=MANAGED,
        ),
    ),
    (Product,),
    parts={"time_limits": TIME_LIMITS, "idempotent": IDEMPOTENT, "health": HEALTH, "hooks": HOOKS},
)
MACHINE = {"reconnect": RECONNECT, "go": GO, "identity": IDENTITY, "host": HOST, "download": DOWNLOAD}
SECTIONS = (*MACHINE.values(), PRODUCT, *(PRODUCT.parts or {}).values())
"""Every table, in the order of the reference."""
