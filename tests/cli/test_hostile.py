"""Words of others through every command: no byte of theirs steers the terminal, and columns stay columns."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
from google.protobuf.timestamp_pb2 import Timestamp
from rich.cells import cell_len

from fleetroll.v1 import (
    agents_pb2,
    anchors_pb2,
    events_pb2,
    keys_pb2,
    policy_pb2,
    recovery_pb2,
    releases_pb2,
    rollouts_pb2,
    tokens_pb2,
    types_pb2,
)
from fleetroll_cli import anchors, app, events, kill, recovery
from fleetroll_cli.keys import app as keys_app
from fleetroll_client import translate
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from tests.attacks.words import ATTACKS, harm, spoil
from tests.cli.commands import _Service
from tests.tui import scenes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.commands import Commands

WITHOUT_OTHERS: dict[tuple[str, ...], str] = {
    ("release", "build"): "makes an artefact; it asks nobody",
    ("manifest", "create"): "makes a file; it asks nobody",
    ("manifest", "verify"): "prints of a file what has a strict form",
    ("release", "mirror"): "prints numbers, and paths of targets that were signed and checked letter by letter",
    ("release", "bundle"): "the same",
    ("keys", "init"): "makes files; it asks nobody",
    ("keys", "backup"): "prints names of one's own files",
    **{
        ("keys", name): "prints ids, versions and roles of metadata that was verified, and files of one's own"
        for name in ("rotate", "revoke", "renew", "to-offline", "add-product", "anchors")
    },
    ("console",): "hands the terminal over; tests of the console look at it",
    **{("context", name): "shows a file of one's own" for name in ("add", "list", "remove", "show", "use")},
    ("context", "refresh"): "prints a number of certificates that were read",
}
"""Commands that print nothing of others, each with why."""


def attempts() -> agents_pb2.GetAgentResponse:
    return agents_pb2.GetAgentResponse(agent=scenes.agent(24), attempts=[scenes.attempt(24), scenes.attempt(3)])


def finished() -> rollouts_pb2.Rollout:
    made = scenes.halted()
    made.waiting_for = "a person"
    made.parent_id, made.revert_id = "r0", "r2"
    made.late.CopyFrom(rollouts_pb2.LateHosts(left=2, stopped=scenes.decision("ana", "late", "START_FAILED")))
    return made


def rollout(kind: str) -> Any:
    return getattr(rollouts_pb2, f"{kind}Response")(rollout=finished())


def switch(kind: str) -> Any:
    made = rollouts_pb2.KillSwitch(scope="fleet/eu", active=True, in_use=2, decision=scenes.decision("ana", "why"))
    many = kind == "GetKillSwitch"
    return getattr(rollouts_pb2, f"{kind}Response")(**({"kill_switches": [made]} if many else {"kill_switch": made}))


def release() -> releases_pb2.Release:
    platform = types_pb2.Platform(os="linux", arch="x86_64", abi="cp311")
    artifact = releases_pb2.Artifact(platform=platform)
    return releases_pb2.Release(
        product="agent", version="1.0.0", channels=["stable"], git_sha="0123456789ab", artifacts=[artifact]
    )


def hosts() -> rollouts_pb2.ListRolloutHostsResponse:
    return rollouts_pb2.ListRolloutHostsResponse(hosts=scenes.members()[20:30])


API = tokens_pb2.ApiToken(id="t1", name="ci")
JOIN = tokens_pb2.JoinToken(id="j1", fleet_id="eu")
RECOVERY = recovery_pb2.Recovery(
    active=True,
    since=Timestamp(seconds=1),
    hosts_not_seen=3,
    suspended_tokens=1,
    younger=[recovery_pb2.YoungerHost(agent_id="h1", name="edge-1", fleet_id="eu")] * 2,
    keys_missing=["timestamp"],
)
ANCHORS = anchors_pb2.AnchorsState(
    serial=3,
    addresses=["fleet.example:8443"],
    authorities=[anchors_pb2.Authority(fingerprint="0" * 64, role=anchors_pb2.AUTHORITY_ROLE_CURRENT, listed=True)] * 2,
    leaf_fingerprint="0" * 64,
    reported=[anchors_pb2.ReportedSerial(serial=3, hosts=2)],
)
DOCUMENT = policy_pb2.PolicyDocument(level=policy_pb2.PolicyLevel(fleet_id="eu", product="shop"), serial=3)
POLICY_CHANGE = policy_pb2.PolicyChange(
    serial=2,
    fields=["pin", "windows"],
    before=policy_pb2.PolicyValues(pin="major 1", windows=policy_pb2.PolicyTexts(texts=["mon 01:00-02:00 UTC"])),
    decision=scenes.decision("ana", "why"),
)
ANSWERS: dict[str, Any] = {
    "ListAgents": agents_pb2.ListAgentsResponse(agents=[scenes.agent(number) for number in (3, 24, 25)]),
    "GetAgent": attempts(),
    "RevokeAgent": agents_pb2.RevokeAgentResponse(agent=scenes.agent(1)),
    "ReadmitAgent": agents_pb2.ReadmitAgentResponse(join_string="fleetroll-join"),
    **{
        f"{name}Agent": getattr(agents_pb2, f"{name}AgentResponse")(
            attempt=agents_pb2.DirectAttempt(
                attempt_id="h1/agent/1", generation=1, rollout_id="r1", from_version="1.0.0", to_version="1.1.0"
            )
        )
        for name in ("Update", "RollBack")
    },
    "DismissAgent": agents_pb2.DismissAgentResponse(scopes=["rollout/one", "fleet/eu"]),
    "PublishRelease": releases_pb2.PublishReleaseResponse(release=release()),
    "ListReleases": releases_pb2.ListReleasesResponse(releases=[release(), release()]),
    "GetRelease": releases_pb2.GetReleaseResponse(release=release()),
    "ListInUse": releases_pb2.ListInUseResponse(releases=[releases_pb2.InUse(version="1.0.0", running=1)]),
    "GetProductPolicy": releases_pb2.GetProductPolicyResponse(role_version=3, floor="1.0.0"),
    "ChangeReleases": releases_pb2.ChangeReleasesResponse(
        role_version=4, releases=[release(), release()], reverts=["r2"]
    ),
    "PreviewFloor": releases_pb2.PreviewFloorResponse(
        below=2, stranded=1, hosts=[releases_pb2.StrandedHost(name="h1", version="1.0.0", message="nothing")]
    ),
    "SetReleaseNotes": releases_pb2.SetReleaseNotesResponse(release=release()),
    "ImportManifest": releases_pb2.ImportManifestResponse(release=release(), role_version=1),
    "AddProduct": releases_pb2.AddProductResponse(product=releases_pb2.Product(name="shop", role_version=1)),
    "ListProducts": releases_pb2.ListProductsResponse(products=[releases_pb2.Product(name="shop", role_version=1)] * 2),
    "StartRollout": rollouts_pb2.StartRolloutResponse(
        rollout=finished(), exclusions=[rollouts_pb2.Exclusion(name="edge-1", message="it is held")]
    ),
    "PreviewRollout": rollouts_pb2.PreviewRolloutResponse(
        product="agent",
        version="1.0.0",
        notes="new",
        breaking_changes="all of it",
        waves=[
            rollouts_pb2.PreviewWave(
                number=1, hosts=1, first_hosts=[rollouts_pb2.PreviewHost(agent_id="h1", name="h", from_version="0.9.0")]
            )
        ],
        exclusions=[rollouts_pb2.Exclusion(name="edge-1", message="it is held")],
        warnings=[rollouts_pb2.PreviewWarning(kind="offline", message="it is offline", hosts=1)],
    ),
    "ExplainHost": rollouts_pb2.ExplainHostResponse(
        agent_id="h1",
        name="h",
        product="agent",
        standings=[
            rollouts_pb2.HostStanding(
                rollout_id="r1", version="1.0.0", findings=[rollouts_pb2.Finding(message="it is held")]
            )
        ],
    ),
    "ApproveRollout": rollouts_pb2.ApproveRolloutResponse(rollout=finished(), note="two tokens"),
    "GetRollout": rollout("GetRollout"),
    "ListRolloutHosts": hosts(),
    "ListRollouts": rollouts_pb2.ListRolloutsResponse(rollouts=[finished(), scenes.rollout()]),
    **{name: rollout(name) for name in ("PauseRollout", "ResumeRollout", "AdvanceRollout", "CancelRollout")},
    **{name: rollout(name) for name in ("RetryRollout", "SkipHost")},
    "RollBackRollout": rollouts_pb2.RollBackRolloutResponse(
        rollout=finished(),
        revert=scenes.rollout(),
        exclusions=[rollouts_pb2.Exclusion(name="edge-1", message="cannot go back: floor 2.0.0")],
    ),
    **{name: switch(name) for name in ("PressKillSwitch", "LiftKillSwitch", "GetKillSwitch")},
    "CreateJoinToken": tokens_pb2.CreateJoinTokenResponse(token=JOIN, join_string="fleetroll-join"),
    "ListJoinTokens": tokens_pb2.ListJoinTokensResponse(tokens=[JOIN]),
    "RevokeJoinToken": tokens_pb2.RevokeJoinTokenResponse(token=JOIN),
    "CreateApiToken": tokens_pb2.CreateApiTokenResponse(token=API, secret="a secret"),
    "ListApiTokens": tokens_pb2.ListApiTokensResponse(tokens=[API]),
    "RevokeApiToken": tokens_pb2.RevokeApiTokenResponse(token=API),
    "GetRecovery": recovery_pb2.GetRecoveryResponse(recovery=RECOVERY),
    "ApproveHosts": recovery_pb2.ApproveHostsResponse(agent_ids=["h1", "h2"]),
    "BringMetadata": recovery_pb2.BringMetadataResponse(taken=["2.root.json"], recovery=RECOVERY),
    "EndRecovery": recovery_pb2.EndRecoveryResponse(recovery=RECOVERY),
    **{
        f"{name}": getattr(anchors_pb2, f"{name}Response")(state=ANCHORS)
        for name in ("GetAnchors", "SetAnchors", "PrepareAuthority", "SwitchAuthority", "DropAuthority")
    },
    "GetKeyStatus": keys_pb2.GetKeyStatusResponse(
        signing_mode="managed",
        roles=[keys_pb2.RoleStatus(role="targets", keys=[keys_pb2.KeyStatus(key_id="0" * 64), keys_pb2.KeyStatus()])],
        readable_root_keys=["/srv/root-1.key"],
    ),
    "ListEvents": events_pb2.ListEventsResponse(events=scenes.events()[:8]),
    "GetPolicy": policy_pb2.GetPolicyResponse(
        fields=[policy_pb2.EffectiveField(name="pin", value="major 1", product="shop", set_by=types_pb2.Actor(id="a"))],
        documents=[DOCUMENT],
    ),
    "SetPolicy": policy_pb2.SetPolicyResponse(document=DOCUMENT),
    "ListPolicyHistory": policy_pb2.ListPolicyHistoryResponse(changes=[POLICY_CHANGE] * 2),
    "PreviewPolicy": policy_pb2.PreviewPolicyResponse(openings=[policy_pb2.PolicyOpening()], why="it is day"),
}
ONE = ("--product", "shop", "--version", "1.0.0")
WORDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("agents", "list"): (),
    ("agents", "show"): ("h1",),
    ("agents", "revoke"): ("h1", "--reason", "r"),
    ("agents", "readmit"): ("h1", "--reason", "r"),
    ("agents", "dismiss"): ("h1", "--reason", "r"),
    ("agents", "update"): ("h1",),
    ("agents", "rollback"): ("h1",),
    ("why",): ("h1",),
    ("release", "publish"): ("ARTEFACT",),
    ("release", "list"): (),
    ("release", "show"): ONE,
    ("release", "notes"): (*ONE, "--text", "t"),
    ("release", "promote"): (*ONE, "--channel", "beta", "--reason", "r"),
    **{("release", verb): (*ONE, "--reason", "r") for verb in ("yank", "retire", "revoke", "intermediates")},
    ("release", "floor"): (*ONE, "--stranded", "1", "--reason", "r"),
    ("manifest", "import"): ("ARTEFACT", "--product", "shop"),
    ("release", "product", "add"): ("shop",),
    ("release", "product", "list"): (),
    **{("rollout", name): () for name in ("start", "preview")},
    ("rollout", "watch"): ("r1",),
    ("rollout", "show"): ("r1",),
    ("rollout", "hosts"): ("r1",),
    ("rollout", "list"): (),
    **{("rollout", name): ("r1",) for name in ("approve", "pause", "resume", "advance", "cancel")},
    ("rollout", "roll-back"): ("r1", "--all"),
    ("rollout", "retry"): ("r1",),
    ("rollout", "skip-host"): ("r1", "h1"),
    **{("kill", name): () for name in ("press", "lift", "status")},
    ("tokens", "join", "create"): (),
    ("tokens", "join", "list"): (),
    ("tokens", "join", "revoke"): ("j1",),
    ("tokens", "api", "create"): ("ci", "--role", "viewer"),
    ("tokens", "api", "list"): (),
    ("tokens", "api", "revoke"): ("t1",),
    ("anchors", "show"): (),
    ("anchors", "set"): ("--address", "fleet.example:8443", "--reason", "r"),
    **{("anchors", "rotate-ca", name): ("--reason", "r") for name in ("prepare", "switch", "drop")},
    ("recovery", "show"): (),
    ("recovery", "approve"): (),
    ("recovery", "bring"): ("--files", "METADATA"),
    ("recovery", "end"): ("--not-seen", "3"),
    ("events",): (),
    ("keys", "status"): (),
    ("policy", "show"): (),
    ("policy", "set"): ("pin=major 1", "--reason", "r"),
    ("policy", "unset"): ("pin", "--reason", "r"),
    ("policy", "history"): (),
    ("policy", "windows"): (),
}
IN_DOCUMENTS = {"csi", "c1, eight bits", "nul and others"}
"""Attacks that are tried in JSON too: it has one way for all letters."""
TABLES = {
    *(("agents", "list"), ("release", "list"), ("release", "product", "list")),
    *(("rollout", "hosts"), ("rollout", "list"), ("kill", "status")),
}


@pytest.fixture
def hostile(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line before a server that every command speaks to."""

    @contextmanager
    def connected(_context: object) -> Iterator[Any]:
        service = _Service(commands)
        with translate():
            every = ("agents", "anchors", "rollouts", "events", "keys", "recovery")
            yield SimpleNamespace(**dict.fromkeys(every, service))

    for module in (anchors, kill, events, keys_app, recovery):
        monkeypatch.setattr(module, "connected", connected)
    return commands


def spoilt_answers(words: str) -> dict[str, Any]:
    found = {}
    for name, answer in ANSWERS.items():
        found[name] = type(answer).FromString(answer.SerializeToString())
        spoil(found[name], words)
    return found


def leaves(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command, by the words that name it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield names
        return
    for name, each in below.items():
        yield from leaves(each, (*names, name))


def artefact(folder: Path) -> str:
    path = folder / "agent-1.0.0.tar.zst"
    path.write_bytes(b"bytes")
    about = {"product": "agent", "version": "1.0.0", "platform": "linux-x86_64-cp311", "git_sha": "0" * 40}
    path.with_name(path.name + ".json").write_text(json.dumps(about))
    return str(path)


def test_every_command_is_looked_at() -> None:
    known = set(leaves(typer.main.get_command(app.app)))
    assert known == set(WORDS) | set(WITHOUT_OTHERS)
    assert not set(WORDS) & set(WITHOUT_OTHERS)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_command_prints_a_word_that_steers(name: str, hostile: Commands, tmp_path: Path) -> None:
    hostile.answers.update(spoilt_answers(ATTACKS[name]))
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "2.root.json").write_bytes(b"bytes")
    places = {"ARTEFACT": artefact(tmp_path), "METADATA": str(tmp_path / "metadata")}
    for command, options in WORDS.items():
        for more in ((), ("--json",)) if name in IN_DOCUMENTS else ((),):
            ended = hostile.run(*command, *(places.get(word, word) for word in options), *more)
            said = ended.out + ended.err
            assert said
            assert harm(said) == set(), (command, more)
            assert "Traceback" not in said
            assert ended.code in {0, 30}, (command, said)
            if more:
                json.loads(ended.out)
            elif command in TABLES:
                assert in_columns(ended.out.splitlines()), (command, ended.out)


def in_columns(lines: list[str]) -> bool:
    """Tell whether each heading's column begins with blank and letter at the same cell in every line."""
    heading = lines[0]
    starts = [at for at in range(1, len(heading)) if heading[at] != " " and heading[at - 2 : at] == "  "]
    return bool(starts) and all(_stands_at(line, start) for line in lines for start in starts)


def _stands_at(line: str, start: int) -> bool:
    """Tell whether a letter begins exactly at a cell, behind two blank ones; or the line ends before."""
    cells = 0
    for at, letter in enumerate(line):
        if cells >= start:
            return cells == start and line[at - 2 : at] == "  "
        cells += cell_len(letter)
    return True


@pytest.mark.parametrize("name", ATTACKS)
def test_no_error_of_a_server_prints_a_word_that_steers(name: str, hostile: Commands) -> None:
    words = ATTACKS[name]
    hostile.answers["ListAgents"] = RequestError(words, code=Code.INTERNAL, remedy=words)
    ended = hostile.run("agents", "list")
    assert (ended.code, ended.out, harm(ended.err)) == (1, "", set())
    assert len(ended.err.splitlines()) == 1
