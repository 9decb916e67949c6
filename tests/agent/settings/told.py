"""What a wrong agent.toml is told."""

from __future__ import annotations

import pytest

from fleetroll_agent.settings import SETTINGS_NAME, Product, parse_settings
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

COMMAND = """\
[products.shop]
kind = "command"
[products.shop.hooks]
backup = ["/opt/backup"]
pull = ["/opt/pull"]
smoke = ["/opt/smoke"]
switch = ["/opt/switch"]
"""
SLOTS = '[products.shop]\nkind = "slots"\n'


def refusal(text: str) -> RequestError:
    """The error of a text, which must be one; what every error has is seen to."""
    with pytest.raises(RequestError) as caught:
        parse_settings(text)
    error = caught.value
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message.startswith(f"{SETTINGS_NAME}, line {error.details['line']}: ")
    assert error.details["file"] == SETTINGS_NAME
    assert error.remedy
    return error


def told(text: str) -> tuple[int, str, str]:
    """Line, sentence and remedy of a text's error."""
    error = refusal(text)
    return int(error.details["line"]), error.message.partition(": ")[2], error.remedy


def told_of_shop(line: str) -> tuple[int, str, str]:
    """The same of one line in the table of a product with kind slots, where it is line 3."""
    return told(f"{SLOTS}{line}\n")


def only(text: str) -> Product:
    """The one product of a text."""
    (product,) = parse_settings(text).products
    return product
