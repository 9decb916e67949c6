"""How a product is asked whether it works, and how a new version comes into use."""

from __future__ import annotations

import pytest

from fleetroll_agent.settings import CommandCheck, Health, HttpCheck, TcpCheck, UnitCheck
from tests.agent.settings.told import COMMAND, SLOTS, only, told_of_shop


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
