"""Handlers around handlers: what they must not do to a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest

from fleetroll_server.rpc.handlers import reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Source:
    """A stream of requests that remembers whether anybody began to read it."""

    def __init__(self, *messages: Any) -> None:
        self.messages = messages
        self.begun = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        self.begun += 1
        return self._all()

    async def _all(self) -> AsyncIterator[Any]:
        for message in self.messages:
            yield message


async def test_a_stream_that_nobody_reads_is_not_begun() -> None:
    """Its generator would complain of it, in whatever runs when it is collected."""

    async def refuses(requests: Any, _context: Any) -> None:
        aiter(requests)
        raise ValueError

    source = Source("a")
    handler: Any = reading(cast("Any", grpc).stream_unary_rpc_method_handler(refuses), lambda _: None)
    with pytest.raises(ValueError):
        await handler.stream_unary(source, None)
    assert source.begun == 0


async def test_a_stream_is_begun_once_and_each_message_is_checked() -> None:
    checked: list[Any] = []

    async def reads(requests: Any, _context: Any) -> list[Any]:
        return [await anext(requests), *[message async for message in requests]]

    source = Source("a", "b", "c")
    handler: Any = reading(cast("Any", grpc).stream_unary_rpc_method_handler(reads), checked.append)
    assert await handler.stream_unary(source, None) == ["a", "b", "c"] == checked
    assert source.begun == 1
