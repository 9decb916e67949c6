"""Errors carry what a user and a machine need, and never a traceback."""

from __future__ import annotations

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError, StoreError, TrustError


@pytest.mark.parametrize("kind", [RequestError, TrustError, AgentError, StoreError])
def test_every_party_has_its_own_branch_of_one_tree(kind: type[FleetrollError]) -> None:
    error = kind("x", code=Code.INTERNAL)
    assert isinstance(error, FleetrollError)
    others = {RequestError, TrustError, AgentError, StoreError} - {kind}
    assert not isinstance(error, tuple(others))


def test_the_text_is_message_code_and_remedy() -> None:
    error = RequestError("limit: 0 is too small", code=Code.INVALID_ARGUMENT, remedy="name at least 1", field="limit")
    assert str(error) == "limit: 0 is too small (INVALID_ARGUMENT); name at least 1"
    assert (error.code, error.remedy, error.details) == (Code.INVALID_ARGUMENT, "name at least 1", {"field": "limit"})


def test_without_a_remedy_the_text_ends_with_the_code() -> None:
    assert str(TrustError("bad", code=Code.WRONG_HASH)) == "bad (WRONG_HASH)"
    assert TrustError("bad", code=Code.WRONG_HASH).details == {}
