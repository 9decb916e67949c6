"""What agent.toml does not allow is refused by name, before a byte is fetched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs.effects import FillSlot, FindTarget
from fleetroll_agent.jobs.events import Assigned, SessionOpened, TargetFound
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.work import About
from fleetroll_agent.settings.product import AutoUpdate
from fleetroll_common.values.pins import Pin, PinKind
from tests.faults.jobs import NEW, Host


def offered(host: Host, policy: Policy, about: About, **more: Any) -> str:
    """Offer 1.1.0 under ``policy``; return what was said last."""
    host.state = replace(host.state, policy=policy)
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", **more))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, about))
    return host.said[-1]


@pytest.mark.parametrize(
    ("policy", "about", "more", "said"),
    [
        (Policy(auto_update=AutoUpdate.NEVER), About(), {}, "OPTED_OUT"),
        (Policy(auto_update=AutoUpdate.ASKED), About(), {"automatic": True}, "NOT_OPTED_IN"),
        (Policy(container="/.dockerenv"), About(), {}, "CONTAINER"),
        (Policy(allowed_channels=("stable",)), About(("beta",)), {}, "CHANNEL_NOT_ALLOWED"),
        (Policy(pin=Pin(PinKind.MINOR, (1, 0))), About(), {}, "PINNED"),
        (Policy(), About(supported_from="1.0.5"), {}, "BELOW_SUPPORTED"),
    ],
)
def test_what_is_not_allowed_is_skipped_by_name(
    host: Host, policy: Policy, about: About, more: dict[str, Any], said: str
) -> None:
    assert offered(host, policy, about, **more) == f"7 SKIPPED {said}"
    assert host.count(FillSlot) == 0


@pytest.mark.parametrize(
    ("policy", "about", "more"),
    [
        (Policy(auto_update=AutoUpdate.ASKED), About(), {}),
        (Policy(auto_update=AutoUpdate.ALWAYS), About(), {"automatic": True}),
        (Policy(allowed_channels=("beta", "stable")), About(("stable",)), {}),
        (Policy(pin=Pin(PinKind.MAJOR, (1,))), About(), {}),
        (Policy(), About(supported_from="1.0.0"), {}),
    ],
)
def test_what_is_allowed_is_fetched(host: Host, policy: Policy, about: About, more: dict[str, Any]) -> None:
    assert offered(host, policy, about, **more) == "7 DOWNLOADING"
    assert host.count(FillSlot) == 1


def test_agent_toml_may_forbid_to_take_a_bad_digest_again(host: Host) -> None:
    host.state = replace(host.state, record=replace(host.state.record, bad=(NEW,)))
    assert offered(host, Policy(retry_bad=False), About(), retry_bad=True) == "7 FAILED BAD_DIGEST"
