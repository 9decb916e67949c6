"""Products of agent.toml: what their kinds need, what they can't have, and what is told of it."""

from __future__ import annotations

import re

import pytest

from fleetroll_agent.settings import Kind, Product, parse_settings
from fleetroll_agent.settings.host_table import MAX_PRODUCTS
from tests.agent.settings.told import COMMAND, SLOTS, only, told, told_of_shop


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backup_mib = 5", "backup_mib = 5 goes with the command backup alone"),
        ('backup_folder = "/b"', "backup_folder = '/b' goes with the command backup alone"),
        (
            'backup_folder = "/b"\n[products.shop.hooks]\nbackup = ["/b"]',
            "backup_folder = '/b' goes with backup_mib alone",
        ),
    ],
)
def test_what_is_said_of_a_backup_that_nobody_asks_for_is_told(text: str, said: str) -> None:
    """It would be believed to guard something."""
    at, sentence, _ = told_of_shop(text)
    assert (at, sentence) == (3, f"products.shop.{said}")


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
