"""Selections, waves and approvals as they are typed, and previews as they are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import reasons_pb2
from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_cli.parse import instant
from fleetroll_cli.plans import lines_of_preview
from fleetroll_cli.watch import head_of
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from tests.cli.commands import Commands


def preview() -> pb.PreviewRolloutResponse:
    hosts = [pb.PreviewHost(name=f"web-{number}") for number in range(1, 8)]
    made = pb.PreviewRolloutResponse(
        product="agent",
        version="1.1.0",
        hosts=8,
        waves=[
            pb.PreviewWave(number=1, hosts=1, first_hosts=hosts[:1]),
            pb.PreviewWave(number=2, hosts=7, first_hosts=hosts),
        ],
        exclusions=[pb.Exclusion(name="db-1", code=reasons_pb2.REASON_CODE_HOST_REVOKED, message="db-1: revoked")],
        exclusion_counts=[pb.ExclusionCount(code=reasons_pb2.REASON_CODE_HOST_REVOKED, hosts=1)],
        per_host_sample=3,
        download_bytes=3 << 20,
        breaking_changes="the port moved",
        warnings=[pb.PreviewWarning(kind="offline", message="2 of the hosts offline now", hosts=2)],
    )
    made.estimated_duration.FromTimedelta(timedelta(hours=2, minutes=3, seconds=4))
    made.per_host.FromTimedelta(timedelta(seconds=90))
    for wave in made.waves:
        wave.estimated_duration.FromTimedelta(timedelta(days=1, seconds=9))
    return made


def test_a_preview_is_read_from_top_to_bottom() -> None:
    assert lines_of_preview(preview()) == [
        "would roll out agent 1.1.0 to 8 hosts",
        "takes about 2h 3m: 1m 30s for each host (the median of 3 updates); loads 3.0 MiB",
        "wave 1  1 host  about 1d 9s  web-1",
        "wave 2  7 hosts  about 1d 9s  web-1, web-2, web-3, web-4, web-5 and 2 more",
        "leaves out 1 host: HOST_REVOKED",
        "  db-1: db-1: revoked",
        "breaking changes: the port moved",
        "warning: 2 of the hosts offline now",
        "nothing was started",
    ]


TYPED = (
    *("--selector", "site in (ams)", "--versions", "<2", "--behind", "--canary", "canary=yes", "--waves", "1,rest"),
    *("--order-by", "label:rack", "--require-approval", "--approve-waves", "--start-at", "2099-01-02T03:04Z"),
)


@pytest.mark.parametrize("words", [("preview",), ("start", "--preview")])
def test_a_preview_asks_for_what_a_start_would(commands: Commands, words: tuple[str, ...]) -> None:
    commands.answers["PreviewRollout"] = preview()
    ended = commands.run("rollout", *words, *TYPED)
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "nothing was started")
    (asked,) = commands.requests("PreviewRollout")
    assert not commands.requests("StartRollout")
    start = asked.start
    chosen = start.selection
    assert (chosen.label_selector, chosen.version_range, chosen.behind) == ("site in (ams)", "<2", True)
    assert list(start.waves) == [pb.WaveSpec(label_selector="canary=yes"), pb.WaveSpec(count=1), pb.WaveSpec(rest=True)]
    assert (start.order_by, start.require_approval, start.wave_advance) == (
        "label:rack",
        True,
        pb.WAVE_ADVANCE_APPROVAL,
    )
    assert start.start_at.ToDatetime(UTC) == datetime(2099, 1, 2, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        (("start", "--selector", ""), "label_selector"),
        (("start", "--versions", " "), "version_range"),
        (("start", "--canary", ""), "canary"),
        (("start", "--batch-size", "0"), "batch_size"),
        (("start", "--start-at", "tomorrow"), "start_at"),
        (("start", "--start-at", "2026-05-01T22:00"), "start_at"),
        (("preview", "--watch"), "--preview"),
        (("start", "--manual", "--approve-waves"), "--manual"),
    ],
)
def test_what_can_not_be_meant_is_refused_before_anybody_is_asked(
    commands: Commands, typed: tuple[str, ...], field: str
) -> None:
    ended = commands.run("rollout", *typed)
    assert (ended.code, field in ended.err, ended.out) == (1, True, "")
    assert not commands.asked


def test_an_approval_says_that_two_tokens_may_be_one_person(commands: Commands) -> None:
    note = "started by token t1, approved by token t2: both may be one person's"
    rollout = pb.Rollout(id="r1", state=pb.ROLLOUT_STATE_RUNNING)
    commands.answers["ApproveRollout"] = pb.ApproveRolloutResponse(rollout=rollout, note=note)
    ended = commands.run("rollout", "approve", "r1", "--revision", "4", "--reason", "read it")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, note)
    (asked,) = commands.requests("ApproveRollout")
    assert (asked.rollout_id, asked.decision_revision, asked.reason) == ("r1", 4, "read it")


def test_a_time_from_now_is_read_too() -> None:
    before = datetime.now(UTC)
    assert timedelta(hours=8) <= instant("8h", "start_at") - before < timedelta(hours=8, minutes=5)
    with pytest.raises(RequestError) as caught:
        instant("25:00", "start_at")
    assert "with a zone" in caught.value.message


def test_what_a_rollout_waits_for_is_shown_with_its_time_and_who_approved_it() -> None:
    made = pb.Rollout(id="r1", product="agent", version="1.1.0", state=pb.ROLLOUT_STATE_AWAITING_APPROVAL)
    made.waiting_for = "a second person to approve it"
    made.approve_by.FromDatetime(datetime(2026, 5, 8, tzinfo=UTC))
    assert head_of(made)[1:] == ["waits for a second person to approve it, until 2026-05-08 00:00:00Z"]
    made.state, made.waiting_for = pb.ROLLOUT_STATE_SCHEDULED, "its time to start"
    made.start_at.FromDatetime(datetime(2026, 5, 9, tzinfo=UTC))
    made.approved.actor.id = "token-2"
    made.approved.reason = "read it"
    assert head_of(made)[1:] == ["waits for its time to start: 2026-05-09 00:00:00Z", "approved by token-2: read it"]
    made.approved.reason = ""
    assert head_of(made)[-1] == "approved by token-2"
