"""Identifiers and the id of an attempt."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.ids import IdSource, SequentialIds, SystemIds, attempt_id, parse_attempt_id

FORM = re.compile(r"agent-[a-z2-7]{26}")


@pytest.mark.parametrize("source", [SystemIds(), SequentialIds()], ids=["system", "sequential"])
def test_ids_have_their_prefix_128_bits_and_never_repeat(source: IdSource) -> None:
    made = [source.new("agent") for _ in range(500)]
    assert len(set(made)) == 500
    assert all(FORM.fullmatch(text) for text in made)


@pytest.mark.parametrize("source", [SystemIds(), SequentialIds()], ids=["system", "sequential"])
def test_tokens_have_the_asked_size_and_never_repeat(source: IdSource) -> None:
    made = {source.token(32) for _ in range(100)}
    assert {len(token) for token in made} == {32}
    assert len(made) == 100


def test_sequential_ids_are_the_same_at_every_run_and_differ_by_seed() -> None:
    assert SequentialIds("a").new("x") == SequentialIds("a").new("x")
    assert SequentialIds("a").new("x") != SequentialIds("b").new("x")


names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)


@given(names, names, st.integers(0, 2**63 - 1))
def test_an_attempt_id_is_read_as_it_was_written(agent: str, product: str, generation: int) -> None:
    assert parse_attempt_id(attempt_id(agent, product, generation)) == (agent, product, generation)


@pytest.mark.parametrize("text", ["", "a/b", "a/b/c", "a/b/-1", "a/b/1/2", "a/b/1.0", "a/b/ 1", "a/b/²", "a/b/\u0661"])
def test_anything_else_is_no_attempt_id(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_attempt_id(text)
    assert caught.value.code == "INVALID_ARGUMENT"
