"""Messages of an upload, one after the other; none is waited for longer than a publisher may need."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_T = TypeVar("_T")


async def next_message(messages: AsyncIterator[_T], seconds: float) -> _T | None:
    """Return the next message; None at the end.

    Raises:
        RequestError: nothing came for ``seconds`` (publisher's fault).
    """
    try:
        async with asyncio.timeout(seconds):
            return await anext(messages, None)
    except TimeoutError as error:
        message = f"the upload stood still for {seconds:g} seconds; nothing was stored"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="upload it again", field="chunk") from error
