"""The secret of release manifests: where it is looked for, and that its text never stands in an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.secret import SECRET_VARIABLE, manifest_secret

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("text", [b"word", b"word\n", b"word\r\n"])
def test_a_file_counts_more_than_the_environment_and_its_last_line_end_is_no_part(tmp_path: Path, text: bytes) -> None:
    """An editor's newline must not make another secret."""
    file = tmp_path / "secret"
    file.write_bytes(text)
    assert manifest_secret(file, {SECRET_VARIABLE: "other"}, "") == b"word"


def test_without_a_file_the_environment_says_it() -> None:
    """Letter by letter."""
    assert manifest_secret(None, {SECRET_VARIABLE: "wörd\n"}, "") == "wörd\n".encode()


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_none_is_refused_with_the_remedy(tmp_path: Path, text: str | None) -> None:
    """An empty secret is one that everybody knows."""
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
    environment = {SECRET_VARIABLE: ""} if text is None else {}
    for asked in (file, None):
        with pytest.raises(RequestError) as caught:
            manifest_secret(asked, environment, "set it")
        assert (caught.value.code, caught.value.remedy) == (Code.NOT_ALLOWED, "set it")
        assert caught.value.details == {"field": "secret"}
