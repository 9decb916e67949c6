"""One registry: bindings, help, docs and the contract's services are compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_tui import commands
from fleetroll_tui.app import SCREENS
from fleetroll_tui.places import MAX_HISTORY, START, History, Place
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.help import help_lines
from tools.house import contract

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

HOSTS_SERVICES = {"AgentStreamService"}
"""What agents speak; no person asks for it."""


@pytest.fixture(scope="module")
def image() -> FileDescriptorSet:
    return contract.image()


def rpcs(image: FileDescriptorSet) -> set[str]:
    return {
        ".".join(rpc.path.removeprefix("/").rpartition("/")[::2]).removeprefix("fleetroll.v1.")
        for rpc in contract.rpcs(image)
    }


def test_commands_name_rpcs_that_exist(image: FileDescriptorSet) -> None:
    named = {rpc for command in commands.COMMANDS for rpc in command.rpcs}
    assert named <= rpcs(image)
    assert named


def test_every_service_has_a_screen_or_stands_in_the_list_that_may_only_shrink(image: FileDescriptorSet) -> None:
    services = {rpc.partition(".")[0] for rpc in rpcs(image)} - HOSTS_SERVICES
    shown = {rpc.partition(".")[0] for command in commands.COMMANDS for rpc in command.rpcs}
    assert sorted(services - shown) == sorted(commands.WITHOUT_SCREEN)
    first = {"EnrolmentService", "ReleasesService", "RepositoryService", "ServerInfoService", "TokensService"}
    assert set(commands.WITHOUT_SCREEN) <= first


def test_no_key_means_two_things_in_one_place() -> None:
    for place in (*SCREENS, commands.LIST):
        keys = [key for command in commands.COMMANDS if command.here(place) for key in command.key.split(",")]
        assert len(keys) == len(set(keys)), place


def test_no_key_of_a_list_is_taken_by_a_screen() -> None:
    lists = {key for each in commands.COMMANDS if each.places == (commands.LIST,) for key in each.key.split(",")}
    others = {key for each in commands.COMMANDS if each.places != (commands.LIST,) for key in each.key.split(",")}
    assert not lists & others


def test_every_command_of_a_screen_is_bound_and_does_something() -> None:
    for kind, screen in SCREENS.items():
        bound = {binding.key for binding in screen.BINDINGS}
        for command in commands.of_place(kind):
            assert command.key in bound
            assert callable(getattr(ConsoleScreen, f"do_{command.name}"))


def test_actions_are_plain_letters_for_terminals_in_terminals() -> None:
    acting = [command for command in commands.COMMANDS if command.group in {"Stop", "Spread"}]
    assert acting
    assert all(len(command.key) == 1 for command in acting)


def test_help_names_every_key_of_a_place_and_dims_what_does_nothing_now() -> None:
    lines = help_lines(commands.ROLLOUT, {"pause"}, 90)
    text = "\n".join("".join(words for words, _ in line) for line in lines)
    for command in commands.of_place(commands.ROLLOUT):
        assert command.label in text
    roles = {words.strip(): role for line in lines for words, role in line}
    assert roles["Pause"] == "text!"
    assert roles["Cancel"] == "muted"
    assert max(len("".join(words for words, _ in line)) for line in lines) <= 90


def test_stopping_needs_no_dialog_and_stands_first_in_the_footer() -> None:
    footer = [command.group for command in commands.of_place(commands.ROLLOUT) if command.footer]
    assert footer[:3] == ["Stop"] * 3


def test_history_goes_back_and_forward_like_a_browser() -> None:
    history = History()
    assert history.here == START
    assert history.last() is None
    assert history.step(-1) is None
    hosts, one = Place(commands.HOSTS), Place(commands.HOST, "ag-1")
    for place in (hosts, hosts, one):
        history.visit(place)
    assert history.last() == hosts
    assert history.step(-1) == hosts
    seen = [history.has_newer]
    assert history.step(1) == one
    history.step(-1)
    history.visit(Place(commands.ROLLOUTS))
    assert [*seen, history.has_newer] == [True, False]
    for number in range(2 * MAX_HISTORY):
        history.visit(Place(commands.HOST, str(number)))
    assert len(history._places) == MAX_HISTORY
