"""The tables of ``agent.toml`` that hold for the machine, whatever the product."""

from __future__ import annotations

from fleetroll_agent.settings import formats
from fleetroll_agent.settings.readers import choice, number, several, text, truth, whole
from fleetroll_agent.settings.table import DAY_SECONDS, Key, Section
from fleetroll_agent.settings.values import DownloadSettings, HostSettings, Offline, Session, Settings

MAX_PRODUCTS = 63
"""Beside the agent. Each is a part of every hello."""
MAX_RATE = 10_000_000
"""KiB per second: ten times what the fastest network cards bring."""
MAX_MIRRORS = 16
MAX_URL_CHARS = 2048

RECONNECT = Section(
    "reconnect",
    "Waits between two streams.",
    (
        Key("base_seconds", number(0, DAY_SECONDS, above=True), "Ceiling of the first wait.", "seconds"),
        Key(
            "cap_seconds",
            number(0, DAY_SECONDS, above=True),
            "Ceiling of every wait, at least `base_seconds`; the jitter comes after it.",
            "seconds",
        ),
    ),
    (Settings,),
    "reconnect_",
)
GO = Section(
    "go",
    "Asking for the permit to change something.",
    (
        Key(
            "ask_interval_seconds",
            number(0, DAY_SECONDS, above=True),
            "Between two requests for Go, give or take a fifth.",
            "seconds",
        ),
    ),
    (Settings,),
    "go_",
)
IDENTITY = Section(
    "identity",
    "The key by which the server knows the host.",
    # A day: no host rotates more often in any case. Ten years: as good as never, but said.
    (Key("rotate_after_days", number(1, 3650), "The age at which the host replaces its key.", "days"),),
    (Settings,),
    "identity_",
)
HOST = Section(
    "host",
    "What holds for the machine, whatever the product.",
    (
        Key(
            "order",
            several(text("name of a product", 63, formats.product_name, '"shop"'), MAX_PRODUCTS, "names of products"),
            "Products that are updated first, in this order. The others follow in the file's order.",
        ),
        Key(
            "containers",
            truth(),
            "Whether the agent updates itself in a container as well: `self_update_in_container`. By default the image "
            "is what gets replaced there.",
        ),
        Key("session", choice(Session), "A stream, or a visit now and then."),
        # The floor of the contract, and a day.
        Key("check_in_seconds", whole(60, DAY_SECONDS), 'Between two visits; for `session = "poll"` alone.', "seconds"),
        Key(
            "offline",
            choice(Offline),
            "Without a server: put updates off, or take by itself what the windows, pins, channels and "
            "`auto_update = true` of this file allow. [More](../operating/README.md#without-a-server).",
        ),
        # Ten minutes: a server's restart is no reason to go one's own way. A month: longer is never.
        Key(
            "offline_after_seconds",
            whole(600, 30 * DAY_SECONDS),
            'How long no server was to be reached before that; for `offline = "local_schedule"` alone.',
            "seconds",
        ),
        Key(
            "offline_sources",
            several(
                text("path or URL", MAX_URL_CHARS, formats.source, '"https://mirror.example/repo"'),
                MAX_MIRRORS,
                "paths of mirrors' folders, or URLs of mirrors",
            ),
            "Where releases are looked for then: folders or addresses of mirrors of the whole signed repository. What "
            "they hold is verified like everything else. No bundles: these are carried, and started by a person.",
        ),
    ),
    (HostSettings,),
)
DOWNLOAD = Section(
    "download",
    "Every download of the host.",
    (
        Key(
            "bandwidth_kib_per_second",
            whole(0, MAX_RATE),
            "The most that all downloads take together; 0 is no limit.",
            "KiB per second",
        ),
        Key(
            "slowest_kib_per_second",
            whole(1, MAX_RATE),
            "A connection below it is given up. Of a limited bandwidth at most half is asked for.",
            "KiB per second",
        ),
        Key("stall_seconds", number(1, 3600), "A connection without a byte for so long is given up.", "seconds"),
        Key(
            "mirrors",
            several(
                text("URL", MAX_URL_CHARS, formats.mirror, '"https://mirror.example/repo/{path}"'),
                MAX_MIRRORS,
                "URLs with `{path}` in them",
            ),
            "Asked in this order before the server; what they send is checked like everything else. https, http to "
            "this machine, or file.",
        ),
    ),
    (DownloadSettings,),
)
