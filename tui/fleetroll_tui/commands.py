"""The one registry of commands. Key bindings, the footer, the palette, the help and docs/keys.md are made from it."""

from __future__ import annotations

from dataclasses import dataclass

ANYWHERE = ""
LIST = "list"
"""The place of keys that move in a list."""
OVERVIEW, ROLLOUTS, ROLLOUT, HOSTS, HOST = "overview", "rollouts", "rollout", "hosts", "host"
RELEASES, RELEASE, SERVER = "releases", "release", "server"
FAILURES = "failures"
_LISTS = (OVERVIEW, ROLLOUTS, ROLLOUT, HOSTS, HOST, RELEASES, FAILURES)
_FILTERED = (ROLLOUTS, ROLLOUT, HOSTS, HOST, RELEASES)
_SORTED = (ROLLOUTS, ROLLOUT, HOSTS, RELEASES)
_PANES = (OVERVIEW, ROLLOUT, HOST, RELEASE, SERVER)
_OF_RELEASES = (RELEASES, RELEASE)


@dataclass(frozen=True)
class Command:
    """One thing that a person can ask for.

    Attributes:
        name: its id.
        key: the key as the framework names it; several are separated by commas.
        shown: the key as people read it.
        label: one or two words, for the footer.
        said: one sentence, for palette, help and docs.
        group: where help and docs list it.
        places: the screens that have it; :data:`ANYWHERE` for all.
        footer: whether the footer names it.
        rpcs: the RPCs that are called for it.
    """

    name: str
    key: str
    shown: str
    label: str
    said: str
    group: str
    places: tuple[str, ...] = (ANYWHERE,)
    footer: bool = False
    rpcs: tuple[str, ...] = ()

    def here(self, place: str) -> bool:
        """Tell whether a screen has it."""
        return ANYWHERE in self.places or place in self.places


SPREAD = "Spread"
"""Commands that let more hosts have a version."""
GROUPS = ("Stop", SPREAD, "Go", "Look", "Lists")
_SERVICE = "RolloutsService"
_RELEASES = "ReleasesService"
_CHANGE = f"{_RELEASES}.ChangeReleases"
_SIGNING = "KeysService.GetKeyStatus"
_RECOVERY = "RecoveryService"
_WATCH = "EventsService.WatchEvents"

COMMANDS: tuple[Command, ...] = (
    Command(
        "pause",
        "p",
        "p",
        "Pause",
        "Pause the rollout at once: no host is offered it or starts after that. Asks nothing.",
        "Stop",
        (ROLLOUT, ROLLOUTS, OVERVIEW),
        footer=True,
        rpcs=(f"{_SERVICE}.PauseRollout",),
    ),
    Command(
        "halt",
        "H",
        "H H",
        "Halt fleet",
        "Kill switch: press twice within 3 s. Nothing new starts in the fleet until the switch is lifted. Where text "
        "is being typed, esc comes first.",
        "Stop",
        footer=True,
        rpcs=(f"{_SERVICE}.PressKillSwitch",),
    ),
    Command(
        "cancel",
        "X",
        "X",
        "Cancel",
        "Cancel the rollout for good: hosts under way go back. Asks for its name.",
        "Stop",
        (ROLLOUT,),
        footer=True,
        rpcs=(f"{_SERVICE}.CancelRollout",),
    ),
    Command(
        "yank",
        "Y",
        "Y",
        "Yank",
        "Take a bad release back: no host begins with it any more. Shows who runs it and asks.",
        "Stop",
        _OF_RELEASES,
        footer=True,
        rpcs=(_CHANGE,),
    ),
    Command(
        "revoke",
        "V",
        "V",
        "Revoke",
        "Declare that what a release holds must not run, and take it back. Shows who runs it and asks.",
        "Stop",
        _OF_RELEASES,
        footer=True,
        rpcs=(_CHANGE,),
    ),
    Command(
        "retire",
        "O",
        "O",
        "Retire",
        "Take an old release off the list; the server refuses it while a host needs it. Asks.",
        "Stop",
        _OF_RELEASES,
        rpcs=(_CHANGE,),
    ),
    Command(
        "floor",
        "F",
        "F",
        "Set floor",
        "Rule that nothing below this version is installed anew. Shows which hosts that leaves without a way up, and "
        "asks for their number.",
        "Stop",
        _OF_RELEASES,
        rpcs=(f"{_RELEASES}.PreviewFloor", _CHANGE),
    ),
    Command(
        "continue",
        "c",
        "c",
        "Continue",
        "Let a paused or halted rollout go on. Shows the evidence first, and how many hosts start.",
        SPREAD,
        (ROLLOUT, ROLLOUTS),
        footer=True,
        rpcs=(f"{_SERVICE}.ResumeRollout",),
    ),
    Command(
        "advance",
        "v",
        "v",
        "Next wave",
        "Open the wave that waits for you. Shows the evidence first, and how many hosts start.",
        SPREAD,
        (ROLLOUT, ROLLOUTS),
        footer=True,
        rpcs=(f"{_SERVICE}.AdvanceRollout",),
    ),
    Command(
        "admit",
        "A",
        "A",
        "Admit hosts",
        "Let hosts have updates that are younger than the backup that was restored. Names them and asks.",
        SPREAD,
        (SERVER,),
        footer=True,
        rpcs=(f"{_RECOVERY}.ApproveHosts",),
    ),
    Command(
        "end_recovery",
        "E",
        "E",
        "End RECOVERY",
        "Let a restored server offer again; what was paused stays paused. Asks for the number of hosts not seen.",
        SPREAD,
        (SERVER,),
        footer=True,
        rpcs=(f"{_RECOVERY}.EndRecovery",),
    ),
    Command(
        "lift",
        "L",
        "L",
        "Lift switch",
        "Lift a pressed kill switch. Asks for the environment's name; starts nothing: what it paused waits for you.",
        SPREAD,
        footer=True,
        rpcs=(f"{_SERVICE}.LiftKillSwitch",),
    ),
    Command(
        "promote",
        "P",
        "P",
        "Promote",
        "List a release in other channels. Shows how many hosts it concerns, and asks for its version.",
        SPREAD,
        _OF_RELEASES,
        footer=True,
        rpcs=(_CHANGE,),
    ),
    Command(
        "overview",
        "1",
        "1",
        "Overview",
        "The fleet in numbers, and what waits for you.",
        "Go",
        rpcs=(_WATCH, "EventsService.ListEvents", _SIGNING, f"{_RECOVERY}.GetRecovery"),
    ),
    Command("rollouts", "2", "2", "Rollouts", "Every rollout.", "Go", rpcs=(_WATCH,)),
    Command("hosts", "3", "3", "Hosts", "Every host.", "Go", rpcs=(_WATCH, "AgentsService.GetAgent")),
    Command(
        "releases",
        "4",
        "4",
        "Releases",
        "Every release: its state, its channels, who runs it.",
        "Go",
        rpcs=(
            *(f"{_RELEASES}.ListReleases", f"{_RELEASES}.ListProducts"),
            *(f"{_RELEASES}.GetProductPolicy", f"{_RELEASES}.ListInUse"),
        ),
    ),
    Command(
        "server",
        "0",
        "0",
        "Server",
        "What server this is, its signing keys with age and expiry, its certificates, and how far a RECOVERY is.",
        "Go",
        rpcs=("ServerInfoService.GetServerInfo", _SIGNING, "AnchorsService.GetAnchors"),
    ),
    Command(
        "failures",
        "x",
        "x",
        "Failures",
        "The failed hosts of the rollout, put together by what they said and what they share.",
        "Go",
        (ROLLOUT, ROLLOUTS),
        footer=True,
        rpcs=(_WATCH,),
    ),
    Command("open", "enter", "enter", "Open", "Open what the cursor is on.", "Go", _LISTS, footer=True),
    Command("leave", "escape", "esc", "Back", "Clear the filter, or go back.", "Go", footer=True),
    Command("last", "minus", "-", "Last view", "Go to the view before this one, and back again.", "Go"),
    Command("older", "left_square_bracket", "[", "History back", "Go back in the history of views.", "Go"),
    Command("newer", "right_square_bracket", "]", "History forward", "Go forward in the history of views.", "Go"),
    Command("filter", "slash", "/", "Filter", "Filter the list.", "Look", _FILTERED, footer=True),
    Command("sort", "s", "s", "Sort", "Sort by the next column.", "Look", _SORTED, footer=True),
    Command("turn", "S", "S", "Turn round", "Turn the order round.", "Look", _SORTED),
    Command("pane", "tab", "tab", "Next pane", "Go to the next pane.", "Look", _PANES, footer=True),
    Command(
        "pane_back",
        "shift+tab",
        "shift+tab",
        "Pane before",
        "Go to the pane before.",
        "Look",
        _PANES,
    ),
    Command("maximise", "m", "m", "Maximise", "Give the pane the whole screen, and back.", "Look", _PANES),
    Command("freeze", "z", "z", "Freeze", "Keep the view as it is, and let it go on again.", "Look"),
    Command(
        "copy",
        "y",
        "y",
        "Copy",
        "Copy the id of what the cursor is on; of artefacts their digests.",
        "Look",
        (*_LISTS, RELEASE, SERVER),
    ),
    Command("theme", "T", "T", "Theme", "Change between dark and light.", "Look"),
    Command("command", "colon", ":", "Command", "Find a command by its name.", "Look", footer=True),
    Command("help", "question_mark", "?", "Help", "Every key that works here.", "Look", footer=True),
    Command(
        "quit", "q", "q", "Quit", "Leave the console; ctrl+c does it too. Nothing on the server changes by it.", "Look"
    ),
    Command("down", "j,down", "j ↓", "Down", "One row down.", "Lists", (LIST,)),
    Command("up", "k,up", "k ↑", "Up", "One row up.", "Lists", (LIST,)),
    Command("top", "g,home", "g", "First", "The first row.", "Lists", (LIST,)),
    Command("bottom", "G,end", "G", "Last", "The last row.", "Lists", (LIST,)),
    Command("page_down", "pagedown,ctrl+f", "page down", "Page down", "One page down.", "Lists", (LIST,)),
    Command("page_up", "pageup,ctrl+b", "page up", "Page up", "One page up.", "Lists", (LIST,)),
    Command(
        "mark", "space", "space", "Mark", "Mark the row; marks stay through filters and refreshes.", "Lists", (LIST,)
    ),
)

BY_NAME = {command.name: command for command in COMMANDS}

WITHOUT_SCREEN = (
    *("AnchorsService.DropAuthority", "AnchorsService.PrepareAuthority"),
    *("AnchorsService.SetAnchors", "AnchorsService.SwitchAuthority"),
    *("AgentsService.DismissAgent", "AgentsService.ListAgents", "AgentsService.ReadmitAgent"),
    *("AgentsService.RevokeAgent", f"{_RELEASES}.GetRelease", f"{_RELEASES}.AddProduct"),
    *(f"{_RELEASES}.ImportManifest", f"{_RELEASES}.GetRepositoryFile", f"{_RELEASES}.SetReleaseNotes"),
    *(f"{_RELEASES}.StageTarget", f"{_RELEASES}.CommitMetadata", "KeysService.PrepareOnlineKeys"),
    *(f"{_RELEASES}.PublishRelease", f"{_SERVICE}.GetKillSwitch", f"{_SERVICE}.GetRollout"),
    *(f"{_SERVICE}.ListRolloutHosts", f"{_SERVICE}.ListRollouts", f"{_SERVICE}.StartRollout"),
    *(f"{_RECOVERY}.BringMetadata", f"{_SERVICE}.ApproveRollout", f"{_SERVICE}.PreviewRollout"),
    f"{_SERVICE}.ExplainHost",
    *("TokensService.CreateApiToken", "TokensService.CreateJoinToken"),
    *("TokensService.ListApiTokens", "TokensService.ListJoinTokens", "TokensService.RevokeApiToken"),
    *("PolicyService.GetPolicy", "PolicyService.ListPolicyHistory", "PolicyService.PreviewPolicy"),
    *("PolicyService.SetPolicy", "TokensService.RevokeJoinToken"),
    *("AgentsService.UpdateAgent", "AgentsService.RollBackAgent", f"{_SERVICE}.RollBackRollout"),
    *(f"{_SERVICE}.RetryRollout", f"{_SERVICE}.SkipHost"),
)
"""RPCs of the contract for people that no key calls yet; this list may only shrink."""


def of_place(place: str) -> list[Command]:
    """Return the commands of a screen, lists' keys apart."""
    return [command for command in COMMANDS if command.here(place) and command.places != (LIST,)]
