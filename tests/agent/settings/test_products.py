"""Products of agent.toml: each rule, and what is told where it is broken."""

from __future__ import annotations

import re

import pytest

from fleetroll_agent.settings import (
    AutoUpdate,
    CommandCheck,
    DownloadSettings,
    Health,
    Hook,
    Hooks,
    HostSettings,
    HttpCheck,
    Kind,
    Offline,
    Pin,
    PinKind,
    Product,
    Session,
    Settings,
    TcpCheck,
    UnitCheck,
    Window,
    parse_settings,
)
from fleetroll_agent.settings.host_table import MAX_PRODUCTS
from tests.agent.settings.told import COMMAND, SLOTS, told, told_of_shop

WHOLE = r"""
[host]
order = ["db", "shop"]
containers = true
session = "poll"
check_in_seconds = 600
offline = "local_schedule"

[download]
bandwidth_kib_per_second = 100
slowest_kib_per_second = 32
stall_seconds = 5
mirrors = ["https://mirror.example/repo/{path}"]

[products.tool]
kind = "file"
path = "/usr/local/bin/tool"

[products.agent]
auto_update = true

[products.shop]
kind = "slots"
auto_update = "never"
allowed_channels = ["stable"]
pin = "minor 1.4"
min_update_interval_seconds = 60
retry_bad = false
override_local = false
stop_revoked = true
windows = ["mon-fri 22:00-05:00 Europe/Berlin", "sat,sun 00:00-24:00 local"]
redact = ['password=\S+']
lock_command = ["/usr/local/bin/busy"]
lock_deferrals = 10
time_limit_seconds = 300
expected_seconds = 90
unit = "shop.service"
link = "/srv/shop/current"
revert_on_lost_contact = true
user = "shop"
[products.shop.time_limits]
smoke = 20
backup = 1800
[products.shop.idempotent]
smoke = true
backup = false
[products.shop.health]
url = "http://127.0.0.1:8080/health"
status = 204
body = "ok"
version = "status.version"
interval_seconds = 0.5
start_seconds = 90
timeout_seconds = 1
[products.shop.hooks]
backup = ["/opt/backup", "--all"]
migrate = ["/opt/migrate"]
smoke = ["/opt/smoke"]
reload = ["/opt/reload"]
restore = ["/opt/restore"]
version = ["/opt/version"]

[products.db]
kind = "command"
idempotent = ["smoke", "pull"]
[products.db.hooks]
backup = ["/opt/backup"]
pull = ["/opt/pull"]
smoke = ["/opt/smoke"]
switch = ["/opt/switch"]
rollback = ["/opt/rollback"]
restart = ["/opt/restart"]
"""
SHOP = Product(
    name="shop",
    kind=Kind.SLOTS,
    auto_update=AutoUpdate.NEVER,
    allowed_channels=("stable",),
    pin=Pin(PinKind.MINOR, (1, 4)),
    min_update_interval_seconds=60,
    retry_bad=False,
    override_local=False,
    stop_revoked=True,
    windows=(Window((0, 1, 2, 3, 4), 1320, 300, "Europe/Berlin"), Window((5, 6), 0, 1440, "local")),
    redact=(re.compile(r"password=\S+"),),
    lock_command=("/usr/local/bin/busy",),
    lock_deferrals=10,
    time_limit_seconds=300,
    time_limits=((Hook.BACKUP, 1800), (Hook.SMOKE, 20)),
    expected_seconds=90,
    idempotent=frozenset({Hook.SMOKE}),
    health=Health(HttpCheck("http://127.0.0.1:8080/health", 204, "ok", ("status", "version")), 0.5, 90.0, 1.0),
    hooks=Hooks(
        backup=("/opt/backup", "--all"),
        migrate=("/opt/migrate",),
        smoke=("/opt/smoke",),
        reload=("/opt/reload",),
        restore=("/opt/restore",),
        version=("/opt/version",),
    ),
    unit="shop.service",
    link="/srv/shop/current",
    user="shop",
    revert_on_lost_contact=True,
)


def only(text: str) -> Product:
    """The one product of a text."""
    (product,) = parse_settings(text).products
    return product


def test_a_file_with_every_key_is_read() -> None:
    """Every key of the file arrives in the settings."""
    settings = parse_settings(WHOLE)
    assert settings.host == HostSettings(("db", "shop"), True, Session.POLL, 600, Offline.LOCAL_SCHEDULE)
    assert settings.download == DownloadSettings(100, 32, 5.0, ("https://mirror.example/repo/{path}",))
    assert [product.name for product in settings.products] == ["tool", "agent", "shop", "db"]
    assert settings.product("shop") == SHOP
    assert settings.product("tool") == Product("tool", Kind.FILE, path="/usr/local/bin/tool")
    assert settings.product("agent") == Product("agent", Kind.AGENT, AutoUpdate.ALWAYS)
    assert settings.product("db").idempotent == {Hook.PULL, Hook.SMOKE}
    assert settings.product("db").hooks.get(Hook.ROLLBACK) == ("/opt/rollback",)
    assert settings.product("other") is None


def test_named_products_come_first_and_the_others_in_the_order_of_the_file() -> None:
    """The order of updates is host.order, then the file's own."""
    assert [product.name for product in parse_settings(WHOLE).in_order] == ["db", "shop", "tool", "agent"]


def test_settings_can_be_compared_and_kept_in_sets() -> None:
    """Two readings of one file are the same settings."""
    assert len({parse_settings(WHOLE), parse_settings(WHOLE), Settings()}) == 2


def test_a_product_takes_what_a_person_starts_by_default() -> None:
    """Nothing but the kind gives every default."""
    assert only(SLOTS) == Product("shop", Kind.SLOTS)
    assert only(SLOTS).auto_update is AutoUpdate.ASKED
    assert only(f"{SLOTS}auto_update = false").auto_update is AutoUpdate.ASKED


@pytest.mark.parametrize(
    ("cap", "slowest", "demanded"), [(0, 64, 64.0), (1000, 64, 64.0), (100, 64, 50.0), (1, 64, 0.5)]
)
def test_no_more_than_half_the_cap_is_demanded_of_a_connection(cap: int, slowest: int, demanded: float) -> None:
    """A cap below the lowest rate doesn't end every download."""
    assert DownloadSettings(cap, slowest).demanded_kib_per_second == demanded


@pytest.mark.parametrize("hook", ["backup", "pull", "smoke", "switch"])
def test_a_command_product_needs_its_four_commands(hook: str) -> None:
    """A command that an update can't do without is missed when the file is read, not in the night."""
    line = f'{hook} = ["/opt/{hook}"]\n'
    assert only(COMMAND).kind is Kind.COMMAND
    assert told(COMMAND.replace(line, ""))[:2] == (
        3,
        f"products.shop.hooks.{hook} is missing: kind command needs it",
    )


def test_a_command_that_is_wrong_is_not_missed_as_well() -> None:
    """One slip is told once: as what it is."""
    line, sentence, _ = told(COMMAND.replace('["/opt/smoke"]', '"/opt/smoke"'))
    assert (line, sentence) == (6, "products.shop.hooks.smoke = '/opt/smoke' is not an array")


@pytest.mark.parametrize("kind", ["slots", "file", "command"])
def test_a_migration_needs_its_way_back(kind: str) -> None:
    """Data that was changed must be brought back, from a backup whose id is known."""
    path = 'path = "/x"\n' if kind == "file" else ""
    hooks = '[products.shop.hooks]\npull = ["/p"]\nsmoke = ["/s"]\nswitch = ["/w"]\nbackup = ["/b"]\n'
    head = f'[products.shop]\nkind = "{kind}"\n{path}'
    hooks = hooks if kind == "command" else '[products.shop.hooks]\nbackup = ["/b"]\n'
    migrate = 'migrate = ["/m"]\n'
    assert only(f"{head}{hooks}{migrate}restore = ['/r']").hooks.restore == ("/r",)
    line, sentence, _ = told(f"{head}{hooks}{migrate}")
    assert line == head.count("\n") + 1
    assert sentence == "products.shop.hooks.restore is missing: migrate needs it, since it brings the data back"


def test_what_is_brought_back_was_saved_before() -> None:
    """A restore without a backup has no id to be given."""
    line, sentence, _ = told(f'{SLOTS}[products.shop.hooks]\nrestore = ["/r"]\n')
    assert (line, sentence) == (3, "products.shop.hooks.backup is missing: restore needs it, since it gives the id")


def test_a_file_product_needs_its_path() -> None:
    """Nobody guesses which file is meant."""
    assert told('[products.shop]\nkind = "file"')[:2] == (1, "products.shop.path is missing")


@pytest.mark.parametrize("kind", ["slots", "file"])
def test_a_product_without_a_service_is_fine(kind: str) -> None:
    """A tool that people start has neither unit nor restart."""
    product = only(f'[products.shop]\nkind = "{kind}"\n' + ('path = "/x"' if kind == "file" else ""))
    assert product.restart_command is None
    assert product.health is None
    assert not product.smoke_is_health


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('path = "/x"', 3, "products.shop.path = '/x' makes no sense with kind slots"),
        ('[products.shop.hooks]\npull = ["/x"]', 4, "products.shop.hooks.pull = ['/x'] makes no sense with kind slots"),
        ('[products.shop.hooks]\nswitch = ["/x"]', 4, "products.shop.hooks.switch = ['/x'] makes no sense with kind"),
        ("[products.shop.time_limits]\npull = 1", 4, "products.shop.time_limits.pull = 1 makes no sense with kind slo"),
        ('idempotent = ["smoke", "pull"]', 3, "products.shop.idempotent[1] = 'pull' makes no sense with kind slots"),
        ("[products.shop.idempotent]\npull = true", 4, "products.shop.idempotent.pull = true makes no sense with kind"),
    ],
)
def test_what_makes_no_sense_with_slots_is_refused_by_name(text: str, line: int, said: str) -> None:
    """A key that would change nothing would be believed to."""
    at, sentence, _ = told_of_shop(text)
    assert (at, sentence[: len(said)]) == (line, said)


def test_what_makes_no_sense_with_commands_is_refused_by_name() -> None:
    """The commands know their own files."""
    for key in ("path", "link"):
        text = COMMAND.replace('"command"\n', f'"command"\n{key} = "/x"\n')
        assert told(text)[:2] == (3, f"products.shop.{key} = '/x' makes no sense with kind command")
    sentence = "products.shop.hooks.reload = ['/x'] makes no sense with kind command"
    assert told(f'{COMMAND}reload = ["/x"]')[:2] == (8, sentence)


@pytest.mark.parametrize(
    "line",
    [
        'unit = "a"',
        'user = "a"',
        "redact = []",
        "time_limit_seconds = 1",
        "stop_revoked = true",
        "revert_on_lost_contact = true",
        "idempotent = []",
        'hooks.smoke = ["/x"]',
        'health.url = "http://localhost"',
        "time_limits.smoke = 1",
        'path = "/x"',
    ],
)
def test_the_agent_has_no_commands_of_its_own(line: str) -> None:
    """The agent's own update is the launcher's work."""
    sentence = told(f"[products.agent]\n{line}")[1]
    assert sentence.startswith(f"products.agent.{re.split('[. ]', line)[0]} = ")
    assert sentence.endswith("makes no sense with kind agent")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[products.shop]\nkind = "agent"', 2, "products.shop.kind = 'agent' goes with [products.agent]"),
        ('[products.agent]\nkind = "slots"', 2, "products.agent.kind = 'slots' goes with [products.agent]"),
        ("[products.shop]\n", 1, "products.shop.kind is missing"),
        ('[products.shop]\nkind = "pack"', 2, "products.shop.kind = 'pack' is not known here"),
        ('[products.Shop]\nkind = "slots"', 1, "products.Shop is not the name of a product"),
        ('[products."a b"]\nkind = "slots"', 1, "products.'a b' is not the name of a product"),
        ('[products.launcher]\nkind = "slots"', 1, "products.launcher is a name that the agent keeps for itself"),
        ("[products]\nshop = 1", 2, "products.shop = 1 is not a table"),
        ("[products]\nshop.kind = 1", 2, "products.shop.kind = 1 is not known here"),
        ("products = []", 1, "products = [] is not a table"),
        ('[host]\norder = ["agent"]', 2, "host.order[0] = 'agent' has no table in this file"),
        (f'[host]\norder = ["shop", "shop"]\n{SLOTS}', 2, "host.order[1] = 'shop' stands there twice"),
    ],
)
def test_kinds_and_names_fit(text: str, line: int, said: str) -> None:
    """A product has a name that every part takes, and the agent's kind is the agent's alone."""
    at, sentence, _ = told(text)
    assert (at, sentence[: len(said)]) == (line, said)


def test_the_agent_may_say_its_kind() -> None:
    """What goes without saying may be said."""
    assert only('[products.agent]\nkind = "agent"') == only("[products.agent]") == Product("agent", Kind.AGENT)


def test_no_more_products_than_a_hello_takes() -> None:
    """The agent is not counted; the first one too many is told."""
    text = "[products.agent]\n" + "".join(f'[products.p{n}]\nkind = "slots"\n' for n in range(MAX_PRODUCTS))
    assert len(parse_settings(text).products) == MAX_PRODUCTS + 1
    line, sentence, _ = told(f'{text}\n[products.more]\nkind = "slots"')
    assert (line, sentence) == (text.count("\n") + 2, "products.more is product 64, 63 are allowed")


def test_two_products_do_not_share_a_place() -> None:
    """The second update would undo the first."""
    text = '[products.a]\nkind = "file"\npath = "/x"\n[products.b]\nkind = "slots"\nlink = "/x"\n'
    assert told(text)[:2] == (6, "products.b.link = '/x' is products.a.path already")


@pytest.mark.parametrize(
    ("health", "check"),
    [
        ('url = "https://[::1]:8443/h"', HttpCheck("https://[::1]:8443/h")),
        ('tcp = "127.0.0.1:8080"', TcpCheck("127.0.0.1", 8080)),
        ('tcp = "[::1]:1"', TcpCheck("::1", 1)),
        ('command = ["/opt/up", ""]', CommandCheck(("/opt/up", ""))),
        ('unit = "other.service"', UnitCheck("other.service")),
        ("start_seconds = 9", UnitCheck("shop.service")),
    ],
)
def test_one_of_four_checks_is_asked(health: str, check: object) -> None:
    """The check that is given is asked, and the product's own unit where none is."""
    product = only(f'{SLOTS}unit = "shop.service"\n[products.shop.health]\n{health}')
    assert product.health.check == check


def test_a_unit_is_restarted_and_asked_unless_somebody_says_otherwise() -> None:
    """One key is enough for a service."""
    product = only(f'{SLOTS}unit = "shop.service"')
    assert product.health == Health(UnitCheck("shop.service"))
    assert product.restart_command == ("systemctl", "restart", "shop.service")
    own = only(f'{SLOTS}unit = "shop.service"\n[products.shop.hooks]\nrestart = ["/opt/again"]')
    assert own.restart_command == ("/opt/again",)
    files = only(f'{SLOTS}unit = "shop.service"\n[products.shop.hooks]\nreload = ["/opt/look"]')
    assert files.restart_command == ("/opt/look",)


def test_without_a_check_the_smoke_command_is_repeated() -> None:
    """A command product always has something to ask; the others say that they have nothing."""
    product = only(COMMAND)
    assert product.health is None
    assert product.smoke_is_health
    assert not only(f'{COMMAND}[products.shop.health]\ntcp = "a:1"').smoke_is_health


@pytest.mark.parametrize(
    ("health", "line", "said"),
    [
        ("", 3, "products.shop.health does not say what to ask"),
        ("interval_seconds = 1", 3, "products.shop.health does not say what to ask"),
        ('tcp = "a:1"\nunit = "a"', 5, "products.shop.health.unit = 'a' stands beside tcp"),
        ('tcp = "a:1"\nstatus = 200', 5, "products.shop.health.status = 200 goes with url alone"),
        ('unit = "a"\nbody = "x"', 5, "products.shop.health.body = 'x' goes with url alone"),
        ('command = ["/x"]\nversion = "x"', 5, "products.shop.health.version = 'x' goes with url alone"),
        ('url = "http://a"\nstatus = 99', 5, "products.shop.health.status = 99 is not 100 to 599"),
        ('url = "http://a"\ninterval_seconds = 0', 5, "products.shop.health.interval_seconds = 0 is not 0.1 to 3600"),
        ('url = "http://a"\nstart_seconds = 0', 5, "products.shop.health.start_seconds = 0 is not above 0"),
        ('url = "http://a"\ntimeout_seconds = 601', 5, "products.shop.health.timeout_seconds = 601 is not 0.1 to 600"),
    ],
)
def test_one_check_is_given_and_what_goes_with_it(health: str, line: int, said: str) -> None:
    """A check that can't be told from another one is none."""
    at, sentence, _ = told_of_shop(f"[products.shop.health]\n{health}")
    assert (at, sentence[: len(said)]) == (line, said)


def test_new_files_are_told_or_the_product_is_restarted() -> None:
    """Two ways to bring a version into use would both be taken for the one that counts."""
    text = '[products.shop.hooks]\nrestart = ["/a"]\nreload = ["/b"]'
    assert told_of_shop(text)[:2] == (5, "products.shop.hooks.reload = ['/b'] stands beside restart")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("auto_update = 1", "products.shop.auto_update = 1 is not known here"),
        ('auto_update = "always"', "products.shop.auto_update = 'always' is not known here"),
        ("allowed_channels = []", "products.shop.allowed_channels = [] has 0 items, not 1 to 16"),
        ('allowed_channels = ["a", "B"]', "products.shop.allowed_channels[1] = 'B' is not a name of small letters"),
        ("min_update_interval_seconds = 2592001", "products.shop.min_update_interval_seconds = 2592001 is not 0 to"),
        ("lock_deferrals = -1", "products.shop.lock_deferrals = -1 is not 0 to 100000"),
        ("time_limit_seconds = 0", "products.shop.time_limit_seconds = 0 is not 1 to 86400"),
        ("expected_seconds = 86401", "products.shop.expected_seconds = 86401 is not 1 to 86400"),
        ("time_limits = 3", "products.shop.time_limits = 3 is not a table"),
        ("time_limits.smoke = 0", "products.shop.time_limits.smoke = 0 is not 1 to 86400"),
        ("hooks = []", "products.shop.hooks = [] is not a table"),
        ("idempotent = [1]", "products.shop.idempotent[0] = 1 is not known here"),
        ("idempotent = {smoke = 1}", "products.shop.idempotent.smoke = 1 is neither true nor false"),
        ("hooks.smoke = []", "products.shop.hooks.smoke = [] has 0 items, not 1 to 64"),
        ('hooks.smoke = "/x"', "products.shop.hooks.smoke = '/x' is not an array"),
        ('hooks.smoke = ["x"]', "products.shop.hooks.smoke[0] = 'x' is not an absolute path"),
        ('hooks.smoke = ["/x/../y"]', "products.shop.hooks.smoke[0] = '/x/../y' has an empty, '.' or '..' part"),
        ('hooks.smoke = ["/x/"]', "products.shop.hooks.smoke[0] = '/x/' has an empty, '.' or '..' part"),
        ('hooks.smoke = ["/x", 3]', "products.shop.hooks.smoke[1] = 3 is not a text"),
        ('hooks.smoke = ["/x", "\\u0000"]', "products.shop.hooks.smoke[1] = '\\x00' holds a NUL"),
        ('lock_command = [""]', "products.shop.lock_command[0] = '' is not an absolute path"),
        ('link = "current"', "products.shop.link = 'current' is not an absolute path"),
        ('link = "/a//b"', "products.shop.link = '/a//b' has an empty, '.' or '..' part"),
        ('unit = "--now"', "products.shop.unit = '--now' is not the name of a unit"),
        ('unit = "a b"', "products.shop.unit = 'a b' is not the name of a unit"),
        ("unit = ''", "products.shop.unit = '' has 0 characters, not 1 to 255"),
        ('user = "0"', "products.shop.user = '0' is not the name of a user"),
        ("user = 0", "products.shop.user = 0 is not a text"),
        ('redact = ["("]', "products.shop.redact[0] = '(' is no regular expression: "),
        ('redact = ["a*"]', "products.shop.redact[0] = 'a*' fits an empty text"),
        ('redact = ["[[a]"]', "products.shop.redact[0] = '[[a]' is no regular expression: Possible nested set"),
        ('redact = ["a{99999999999999999999}"]', "products.shop.redact[0] = 'a{99999999999999999999}' is no regular"),
        (f'redact = ["{"a" * 201}"]', f"products.shop.redact[0] = '{'a' * 80}'… has 201 characters, not 1 to 200"),
        (f"redact = {[str(n) for n in range(33)]}", "products.shop.redact = ['0', '1', '2', '3', …] has 33 items, not"),
        ('redact = ["a", "b", "a"]', "products.shop.redact[2] = 'a' stands there twice"),
    ],
)
def test_a_value_that_a_key_can_not_have_is_told(line: str, said: str) -> None:
    """Each key has its bounds, and says which."""
    at, sentence, _ = told_of_shop(line)
    assert (at, sentence[: len(said)]) == (3, said)


def test_a_command_has_the_limit_of_its_own_or_the_products() -> None:
    """One limit holds for every command that has none."""
    assert SHOP.limit_seconds(Hook.BACKUP) == 1800
    assert SHOP.limit_seconds(Hook.RESTORE) == 300
