"""What is allowed, and yet worth a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.settings import Settings, parse_settings, warnings
from fleetroll_agent.settings.advice import is_program
from tests.agent.settings.told import COMMAND, SLOTS

if TYPE_CHECKING:
    from pathlib import Path


def said(text: str, *missing: str) -> tuple[str, ...]:
    """What is said of a text on a host where every program is there but for some."""
    return warnings(parse_settings(text), lambda path: path not in missing)


def test_nothing_is_said_of_a_host_with_the_agent_alone() -> None:
    """The defaults are worth no word."""
    assert warnings(Settings()) == ()
    assert said("[products.agent]") == ()


def test_a_command_product_that_can_not_go_back_is_told() -> None:
    """Whoever leaves out the way back knows what that means before it is needed."""
    whole = f'{COMMAND}rollback = ["/opt/back"]\n[products.shop.health]\ntcp = "a:1"'
    assert said(whole) == ()
    assert said(whole.replace('rollback = ["/opt/back"]\n', "")) == (
        "products.shop.hooks.rollback is missing: a failure from pull on is rollback_failed: a person must act",
    )


def test_a_product_without_health_is_told() -> None:
    """What stands in for a check is said, and that nothing does."""
    assert said(f'{COMMAND}rollback = ["/opt/back"]') == (
        "products.shop.health is missing: the smoke command is repeated for the soak",
    )
    assert said(SLOTS) == ("products.shop.health is missing: nothing is asked whether the new version works",)
    assert said(f'{SLOTS}unit = "shop.service"') == ()


def test_a_schedule_that_leads_nowhere_is_told() -> None:
    """Who waits for it finds out before the server is gone."""
    alone = '[host]\noffline = "local_schedule"\n'
    places, takes = 'offline_sources = ["/media/usb/b"]\n', "[products.agent]\nauto_update = true"
    without = "host.offline = local_schedule without host.offline_sources: without a server nothing can be taken"
    assert said(f"{alone}{takes}") == (without,)
    assert said(f"{alone}{places}") == (
        "host.offline = local_schedule, and no product has auto_update = true: nothing is taken by itself",
    )
    assert said(f"{alone}{places}{takes}") == ()
    assert said(f'[host]\noffline = "postpone"\n{places}') == ()


def test_a_bundle_among_the_sources_of_a_schedule_is_told(tmp_path: Path) -> None:
    """It is refused when it is used; a folder that is away is not."""
    (tmp_path / "fleet.bundle").touch()
    places = f'offline_sources = ["{tmp_path}", "{tmp_path}/away", "{tmp_path}/fleet.bundle", "/{"x" * 300}"]\n'
    (told,) = said(f'[host]\noffline = "local_schedule"\n{places}[products.agent]\nauto_update = true')
    assert told.startswith(f"host.offline_sources: {tmp_path}/fleet.bundle is a file, and refused")


def test_every_program_that_is_not_there_is_told_with_its_key() -> None:
    """A command that can't start is found before an update is."""
    text = (
        f'{SLOTS}lock_command = ["/opt/busy"]\n[products.shop.health]\ncommand = ["/opt/up", "/none"]\n'
        '[products.shop.hooks]\nsmoke = ["/opt/smoke"]\nrestart = ["/opt/again"]'
    )
    assert said(text, "/opt/busy", "/opt/up", "/opt/again", "/none") == (
        "products.shop.lock_command: there is no program /opt/busy that can be run",
        "products.shop.health.command: there is no program /opt/up that can be run",
        "products.shop.hooks.restart: there is no program /opt/again that can be run",
    )


def test_work_that_fits_into_no_window_is_told() -> None:
    """Such a product would wait for ever."""
    text = f'{SLOTS}unit = "a"\nwindows = ["mon 01:00-01:30 local", "tue 23:00-00:00 local"]\nexpected_seconds = '
    assert said(f"{text}3600") == ()
    assert said(f"{text}3601") == (
        "products.shop.expected_seconds = 3601 is longer than every window: it is never updated",
    )


def test_windows_that_adjoin_are_as_long_as_both() -> None:
    """Nobody is warned of what fits."""
    text = f'{SLOTS}unit = "a"\nwindows = ["mon 22:00-24:00 local", "tue 00:00-01:00 local"]\nexpected_seconds = '
    assert said(f"{text}10800") == ()
    assert len(said(f"{text}10801")) == 1


def test_a_zone_that_is_not_known_is_told() -> None:
    """The file may name what only a newer version knows: the agent starts, and its windows stay closed."""
    text = f'{SLOTS}unit = "a"\nwindows = ["mon 22:00-24:00 local", "tue 00:00-01:00 Europe/Brelin"]'
    assert said(text) == (
        "products.shop.windows: zone: 'Europe/Brelin' is no time zone that this version knows: it is never updated",
    )
    local = f'{SLOTS}unit = "a"\nwindows = ["mon 22:00-24:00 local"]'
    assert "'Mars/Base'" in warnings(parse_settings(local), lambda path: True, "Mars/Base")[0]


def test_a_program_is_a_file_that_may_be_run(tmp_path: Path) -> None:
    """Neither a folder nor a file without the right is one."""
    program = tmp_path / "program"
    assert not is_program(str(program))
    program.write_text("")
    assert not is_program(str(program))
    program.chmod(0o755)
    assert is_program(str(program))
    assert not is_program(str(tmp_path))
