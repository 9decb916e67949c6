"""The values that keys of a product can't have."""

from __future__ import annotations

import pytest

from tests.agent.settings.told import told_of_shop


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("auto_update = 1", "products.shop.auto_update = 1 is not known here"),
        ('auto_update = "always"', "products.shop.auto_update = 'always' is not known here"),
        ("allowed_channels = []", "products.shop.allowed_channels = [] has 0 items, not 1 to 16"),
        ('allowed_channels = ["a", "B"]', "products.shop.allowed_channels[1] = 'B' is not a name of small letters"),
        ("min_update_interval_seconds = 2592001", "products.shop.min_update_interval_seconds = 2592001 is not 0 to"),
        ("lock_deferrals = -1", "products.shop.lock_deferrals = -1 is not 0 to 100000"),
        ("time_limit_seconds = 0", "products.shop.time_limit_seconds = 0 is not 1 to 86400"),
        ("expected_seconds = 86401", "products.shop.expected_seconds = 86401 is not 1 to 86400"),
        ("backup_mib = -1", "products.shop.backup_mib = -1 is not 0 to 16777216"),
        ("backup_mib = 1.5", "products.shop.backup_mib = 1.5 is not a whole number"),
        ('backup_folder = "backups"', "products.shop.backup_folder = 'backups' is not an absolute path"),
        ("time_limits = 3", "products.shop.time_limits = 3 is not a table"),
        ("time_limits.smoke = 0", "products.shop.time_limits.smoke = 0 is not 1 to 86400"),
        ("hooks = []", "products.shop.hooks = [] is not a table"),
        ("idempotent = [1]", "products.shop.idempotent[0] = 1 is not known here"),
        ("idempotent = {smoke = 1}", "products.shop.idempotent.smoke = 1 is neither true nor false"),
        ("hooks.smoke = []", "products.shop.hooks.smoke = [] has 0 items, not 1 to 64"),
        ('hooks.smoke = "/x"', "products.shop.hooks.smoke = '/x' is not an array"),
        ('hooks.smoke = ["x"]', "products.shop.hooks.smoke[0] = 'x' is not an absolute path"),
        ('hooks.smoke = ["/x/../y"]', "products.shop.hooks.smoke[0] = '/x/../y' has an empty, '.' or '..' part"),
        ('hooks.smoke = ["/x/"]', "products.shop.hooks.smoke[0] = '/x/' has an empty, '.' or '..' part"),
        ('hooks.smoke = ["/x", 3]', "products.shop.hooks.smoke[1] = 3 is not a text"),
        ('hooks.smoke = ["/x", "\\u0000"]', "products.shop.hooks.smoke[1] = '\\x00' holds a NUL"),
        ('lock_command = [""]', "products.shop.lock_command[0] = '' is not an absolute path"),
        ('link = "current"', "products.shop.link = 'current' is not an absolute path"),
        ('link = "/a//b"', "products.shop.link = '/a//b' has an empty, '.' or '..' part"),
        ('unit = "--now"', "products.shop.unit = '--now' is not the name of a unit"),
        ('unit = "a b"', "products.shop.unit = 'a b' is not the name of a unit"),
        ("unit = ''", "products.shop.unit = '' has 0 characters, not 1 to 255"),
        ('user = "0"', "products.shop.user = '0' is not the name of a user"),
        ("user = 0", "products.shop.user = 0 is not a text"),
        ('redact = ["("]', "products.shop.redact[0] = '(' is no regular expression: "),
        ('redact = ["a*"]', "products.shop.redact[0] = 'a*' fits an empty text"),
        ('redact = ["[[a]"]', "products.shop.redact[0] = '[[a]' is no regular expression: Possible nested set"),
        ('redact = ["a{99999999999999999999}"]', "products.shop.redact[0] = 'a{99999999999999999999}' is no regular"),
        (f'redact = ["{"a" * 201}"]', f"products.shop.redact[0] = '{'a' * 80}'… has 201 characters, not 1 to 200"),
        (f"redact = {[str(n) for n in range(33)]}", "products.shop.redact = ['0', '1', '2', '3', …] has 33 items, not"),
        ('redact = ["a", "b", "a"]', "products.shop.redact[2] = 'a' stands there twice"),
    ],
)
def test_a_value_that_a_key_can_not_have_is_told(line: str, said: str) -> None:
    """Each key has its bounds, and says which."""
    at, sentence, _ = told_of_shop(line)
    assert (at, sentence[: len(said)]) == (3, said)
