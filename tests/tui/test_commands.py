"""One registry: bindings, help, docs and the contract's services are compared with it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_tui import commands
from fleetroll_tui.app import SCREENS
from fleetroll_tui.feed import asked, live
from fleetroll_tui.places import MAX_HISTORY, START, History, Place
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.help import help_lines
from tools.house import contract

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

PERSONS = {"ROLE_VIEWER", "ROLE_OPERATOR", "ROLE_ADMIN"}
AT_FIRST = {
    *("AnchorsService.DropAuthority", "AnchorsService.PrepareAuthority"),
    *("AnchorsService.SetAnchors", "AnchorsService.SwitchAuthority"),
    *("AgentsService.DismissAgent", "AgentsService.ListAgents", "AgentsService.ReadmitAgent"),
    *("AgentsService.RevokeAgent", "ReleasesService.GetRelease", "ReleasesService.AddProduct"),
    *("ReleasesService.ImportManifest", "ReleasesService.GetRepositoryFile", "ReleasesService.SetReleaseNotes"),
    *("ReleasesService.StageTarget", "ReleasesService.CommitMetadata", "KeysService.PrepareOnlineKeys"),
    *("ReleasesService.PublishRelease", "RolloutsService.GetKillSwitch", "RolloutsService.GetRollout"),
    *("RolloutsService.ListRolloutHosts", "RolloutsService.ListRollouts", "RolloutsService.StartRollout"),
    *("RecoveryService.BringMetadata", "RolloutsService.ApproveRollout", "RolloutsService.PreviewRollout"),
    "RolloutsService.ExplainHost",
    *("TokensService.CreateApiToken", "TokensService.CreateJoinToken"),
    *("TokensService.ListApiTokens", "TokensService.ListJoinTokens", "TokensService.RevokeApiToken"),
    *("PolicyService.GetPolicy", "PolicyService.ListPolicyHistory", "PolicyService.PreviewPolicy"),
    *("PolicyService.SetPolicy", "TokensService.RevokeJoinToken"),
    *("AgentsService.UpdateAgent", "AgentsService.RollBackAgent", "RolloutsService.RollBackRollout"),
    *("RolloutsService.RetryRollout", "RolloutsService.SkipHost"),
}
"""What the console did not call when this was first counted, and what came to the contract since."""
FEED = [Path(live.__file__), Path(asked.__file__)]
SERVICES = {"server_info": "ServerInfoService"}
"""Whose stub has another name."""


@pytest.fixture(scope="module")
def image() -> FileDescriptorSet:
    return contract.image()


def roles(image: FileDescriptorSet) -> dict[str, str]:
    """The role that each RPC asks for, by "RolloutsService.PauseRollout"."""
    found = ((rpc.path.removeprefix("/fleetroll.v1.").replace("/", "."), rpc.role) for rpc in contract.rpcs(image))
    return dict(found)


def for_persons(image: FileDescriptorSet) -> set[str]:
    """What the contract has for people: what asks for a person's role, and what is public where no host calls."""
    asked = roles(image)
    of_hosts = {rpc.partition(".")[0] for rpc, role in asked.items() if role == "ROLE_AGENT"}
    public = {rpc for rpc, role in asked.items() if role == "ROLE_PUBLIC" and rpc.partition(".")[0] not in of_hosts}
    return {rpc for rpc, role in asked.items() if role in PERSONS} | public


def called() -> tuple[set[str], int]:
    """What the feed calls on a server, by its source; and how often it uses its client for anything else."""
    tree = ast.Module([each for path in FEED for each in ast.parse(path.read_text("utf-8")).body], [])
    uses = [node for node in ast.walk(tree) if ast.unparse(node) == "self._client" and isinstance(node, ast.expr)]
    found = []
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        words = ast.unparse(node.func).split(".")
        if words[:2] == ["self", "_client"] and len(words) == 4:
            service = SERVICES.get(words[2], f"{words[2].title()}Service")
            found.append(f"{service}.{words[3]}")
        elif words == ["follow"]:
            found.append("EventsService.WatchEvents")
    return set(found), len(uses) - len(found)


def test_commands_name_exactly_the_rpcs_that_the_console_calls(image: FileDescriptorSet) -> None:
    calls, other_uses = called()
    assert {rpc for command in commands.COMMANDS for rpc in command.rpcs} == calls
    assert calls <= set(roles(image))
    assert other_uses == 2, "it is made, and it is closed"


def test_every_rpc_for_people_has_a_key_or_stands_in_the_list_that_may_only_shrink(image: FileDescriptorSet) -> None:
    named = {rpc for command in commands.COMMANDS for rpc in command.rpcs}
    assert sorted(commands.WITHOUT_SCREEN) == sorted(for_persons(image) - named)
    assert set(commands.WITHOUT_SCREEN) <= AT_FIRST


def test_what_only_hosts_call_is_not_for_people(image: FileDescriptorSet) -> None:
    theirs = set(roles(image)) - for_persons(image)
    assert {"AgentStreamService.Connect", "EnrolmentService.Enroll", "RepositoryService.FetchTarget"} <= theirs
    assert not {role for rpc, role in roles(image).items() if rpc in theirs} & PERSONS


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
