"""Release manifests: one text that is signed, every field strict, nothing beside them."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.release_manifest import MAX_RELEASE_MANIFEST_BYTES, ReleaseManifest
from fleetroll_common.values.version import Version

SECRET = b"a secret of the pipeline"
PLAIN = ReleaseManifest(
    version=Version.parse("1.4.0"),
    sha="0123456789abcdef",
    channel="stable",
    migrations_required=True,
    breaking_changes="the café\nmoved \U0001f600",
    released_at="2026-05-01T14:00:00.25+02:00",
)
MANIFEST = PLAIN.signed(SECRET)


def document(**changes: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(MANIFEST.dump())
    return {name: value for name, value in (read | changes).items() if value is not ...}


def refused(data: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        ReleaseManifest.parse(data)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value


def test_what_is_signed_is_sorted_json_without_spaces_in_utf_8() -> None:
    """The text stands here letter for letter: other programs have to write the same."""
    text = (
        '{"breaking_changes":"the café\\nmoved \U0001f600","channel":"stable","migrations_required":true,'
        '"released_at":"2026-05-01T14:00:00.25+02:00","sha":"0123456789abcdef","version":"1.4.0"}'
    )
    assert MANIFEST.canonical() == text.encode()
    assert MANIFEST.signature == hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()


def test_a_manifest_is_read_in_any_form_of_json_and_written_in_one() -> None:
    """Order, spaces and escapes are the writer's; the signature holds all the same."""
    for text in (json.dumps(document(), indent=4), json.dumps(dict(reversed(document().items())), ensure_ascii=False)):
        read = ReleaseManifest.parse(text.encode())
        assert read == MANIFEST
        read.verify(SECRET)
    assert ReleaseManifest.parse(MANIFEST.dump()) == MANIFEST
    assert MANIFEST.released == datetime(2026, 5, 1, 12, tzinfo=UTC)


@given(
    st.builds(
        replace,
        st.just(PLAIN),
        sha=st.from_regex(r"[0-9a-f]{7,64}", fullmatch=True),
        migrations_required=st.booleans(),
        breaking_changes=st.none() | st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50),
    )
)
def test_what_is_written_is_read_again(manifest: ReleaseManifest) -> None:
    """Whatever the fields hold."""
    signed = manifest.signed(SECRET)
    read = ReleaseManifest.parse(signed.dump())
    assert read == signed
    read.verify(SECRET)


WRONG: dict[str, tuple[str, Any]] = {
    "no version": ("version", "1.4"),
    "a version of another type": ("version", 1),
    "a commit that is a name": ("sha", "main"),
    "a commit in capitals": ("sha", "ABCDEF0"),
    "a dirty commit": ("sha", "0123456+dirty"),
    "a commit with a line end": ("sha", "0123456\n"),
    "a channel of two words": ("channel", "two words"),
    "a text for yes": ("migrations_required", "true"),
    "a number for yes": ("migrations_required", 1),
    "nothing for yes or no": ("migrations_required", None),
    "an empty text": ("breaking_changes", ""),
    "a long text": ("breaking_changes", "x" * 4097),
    "a text that steers a terminal": ("breaking_changes", "\x1b[2J"),
    "half a letter": ("breaking_changes", "\ud83d"),
    "a list for a text": ("breaking_changes", ["x"]),
    "no zone": ("released_at", "2026-05-01T12:00:00"),
    "no date": ("released_at", "2026-02-30T12:00:00Z"),
    "a date alone": ("released_at", "2026-05-01"),
    "an old date": ("released_at", "1999-12-31T23:59:59Z"),
    "a number for a date": ("released_at", 1770000000),
    "beyond any calendar": ("released_at", "9999-12-31T23:59:59-12:00"),
    "no signature": ("signature", ""),
    "a signature in capitals": ("signature", "A" * 64),
    "a short signature": ("signature", "a" * 63),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_is_refused_by_its_name(case: str) -> None:
    """Before anybody looks at the signature."""
    field, value = WRONG[case]
    error = refused(json.dumps(document(**{field: value})).encode())
    assert error.details == {"field": field}
    assert error.message.startswith(f"{field}: ")


@pytest.mark.parametrize("field", document())
def test_a_missing_field_is_refused_by_its_name(field: str) -> None:
    """None has a default: what is not said was not signed."""
    assert refused(json.dumps(document(**{field: ...})).encode()).message == f"{field}: is missing"


def test_an_unknown_field_is_refused_by_its_name() -> None:
    """It would be signed by nobody. A name that could steer a terminal is shown as letters."""
    assert refused(json.dumps(document(extra=1)).encode()).message == "extra: is no field of a release manifest"
    error = refused(json.dumps(document(**{"\x1b[2J" + "x" * 99: 1})).encode())
    assert error.details["field"].isascii()
    assert error.details["field"].isprintable()
    assert len(error.details["field"]) < 60


def test_a_field_that_stands_there_twice_is_refused() -> None:
    """Programs differ in which one they take."""
    text = MANIFEST.dump().decode().replace("{", '{"sha":"fffffff",', 1)
    assert refused(text.encode()).message == "sha: stands there twice"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 60_000, b" " * (MAX_RELEASE_MANIFEST_BYTES + 1), b"NaN"],
    ids=range(9),
)
def test_what_is_no_manifest_at_all_is_refused(data: bytes) -> None:
    """However deep or long it is."""
    assert refused(data).details == {"field": "manifest"}


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.4.1"},
        {"sha": "0123456789abcdee"},
        {"channel": "beta"},
        {"migrations_required": False},
        {"breaking_changes": None},
        {"released_at": "2026-05-01T12:00:00.25Z"},
        {"signature": "0" * 64},
    ],
    ids=str,
)
def test_a_change_after_signing_is_found_in_every_field(changes: dict[str, Any]) -> None:
    """The same instant in other words is a change too: the text is signed."""
    with pytest.raises(TrustError) as caught:
        ReleaseManifest.parse(json.dumps(document(**changes)).encode()).verify(SECRET)
    assert (caught.value.code, caught.value.details["field"]) == (Code.BAD_SIGNATURE, "signature")


def test_another_secret_does_not_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the comparison is the one that takes the same time wherever two signatures differ."""
    compared: list[str] = []
    real = hmac.compare_digest

    def watched(made: str, said: str) -> bool:
        compared.append(said)
        return real(made, said)

    monkeypatch.setattr("fleetroll_common.values.release_manifest.hmac.compare_digest", watched)
    with pytest.raises(TrustError):
        MANIFEST.verify(SECRET + b"x")
    MANIFEST.verify(SECRET)
    assert compared == [MANIFEST.signature] * 2


def test_nothing_is_signed_with_an_empty_secret() -> None:
    """Everybody knows that one."""
    with pytest.raises(RequestError):
        PLAIN.signed(b"")
    with pytest.raises(RequestError):
        MANIFEST.verify(b"")
