"""Addresses of mirrors: what settings may name, and where a mirror may lead a host on to."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.fetch import MirrorSource, SourceFailed
from fleetroll_agent.fetch.patterns import file_path, led_to, parse_pattern
from fleetroll_common.values.errors import RequestError

FILE = "file" + ":"


@pytest.mark.parametrize(
    "pattern",
    [
        "https://mirror.example/fleetroll/{path}",
        "https://mirror.example:8443/{path}?kind=raw",
        "https://mirror.example/get?target={path}",
        "http://127.0.0.1:8080/{path}",
        "http://127.9.9.9/{path}",
        "http://[::1]:8080/{path}",
        "http://localhost/{path}",
        FILE + "///srv/mirror/{path}",
        FILE + "//localhost/srv/mirror/{path}",
    ],
)
def test_a_pattern_that_is_allowed_names_the_mirror(pattern: str) -> None:
    """A person finds the mirror of a message in the settings."""
    assert MirrorSource(pattern).name == pattern


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("http://mirror.example/{path}", "is http to another host"),
        ("http://127.0.0.1.example/{path}", "is http to another host"),
        ("http://10.0.0.1/{path}", "is http to another host"),
        ("http://127.1/{path}", "is http to another host"),
        ("https://mirror.example/", "exactly one {path}"),
        ("https://mirror.example/{path}/{path}", "exactly one {path}"),
        ("https://mirror.example/{version}/{path}", "no other brace"),
        ("https://{path}/", "names no host"),
        ("https://mirror.{path}", "names no host"),
        ("https:///{path}", "names no host"),
        ("https://mirror.example:port/{path}", "is no address"),
        ("https://mirror.example:0/{path}", "names no host and port"),
        ("https://[::1/{path}", "is no address"),
        ("https://ann:secret@mirror.example/{path}", "holds a name or password"),
        ("https://mirror.example/#{path}", "holds a fragment"),
        ("ftp://mirror.example/{path}", "begins with none of"),
        ("/srv/mirror/{path}", "begins with none of"),
        (FILE + "//elsewhere/srv/{path}", "names the host"),
        (FILE + "///srv/{path}?x=1", "is no absolute path"),
        (FILE + "srv/{path}", "is no absolute path"),
        ("https://mirror.example/a b/{path}", "plain characters"),
        ("https://mirror.example/\n{path}", "plain characters"),
        ("https://mirror.example/ä/{path}", "plain characters"),
        ("https://mirror.example/" + "a" * 2000 + "{path}", "plain characters"),
        ("", "exactly one {path}"),
    ],
)
def test_a_pattern_that_is_not_allowed_is_refused_when_it_is_configured(pattern: str, fault: str) -> None:
    """Not at the first download, when nobody looks."""
    with pytest.raises(RequestError, match=fault.replace("{", r"\{")) as caught:
        MirrorSource(pattern)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.remedy


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1), min_size=1, max_size=4))
def test_a_path_is_quoted_segment_by_segment_and_nothing_of_it_escapes(segments: list[str]) -> None:
    """Whatever a target is called, it stays below the mirror's folder, and is that one file there."""
    path = "/".join(segments)
    pattern = parse_pattern("https://mirror.example/m/{path}?x")
    names = path.split("/")
    if any(name in {"", ".", ".."} for name in names) or not path.isprintable():
        with pytest.raises(SourceFailed):
            pattern.url(path)
        return
    parts = urlsplit(pattern.url(path))
    assert (parts.netloc, parts.query, parts.fragment) == ("mirror.example", "x", "")
    assert [unquote(part) for part in parts.path.split("/")] == ["", "m", *names]


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../secret", "a/../../b", "a//b", "a/.", "a\x00b", "a\r\nHost: x"])
def test_a_path_that_leaves_the_mirror_is_not_asked_for(path: str) -> None:
    """Signed or not: such a target is on no mirror."""
    with pytest.raises(SourceFailed):
        parse_pattern("https://mirror.example/{path}").url(path)


def test_a_file_address_is_the_path_that_was_meant() -> None:
    """Quoting is undone once."""
    assert file_path(parse_pattern(FILE + "///srv/my%20mirror/{path}").url("a/b%20c d")) == "/srv/my mirror/a/b%20c d"


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("https://a.example/m/x", "/y", "https://a.example/y"),
        ("https://a.example/m/x", "y?z", "https://a.example/m/y?z"),
        ("https://a.example/m/x", "https://b.example/y#part", "https://b.example/y"),
        ("https://a.example/m/x", "//b.example/y", "https://b.example/y"),
        ("http://127.0.0.1/x", "https://b.example/y", "https://b.example/y"),
        ("http://127.0.0.1/x", "http://[::1]/y", "http://[::1]/y"),
    ],
)
def test_a_redirect_leads_to_where_a_mirror_may_be(url: str, location: str, target: str) -> None:
    """Relative ones are read as browsers read them."""
    assert led_to(url, location) == target


@pytest.mark.parametrize(
    ("url", "location", "words"),
    [
        ("https://a.example/x", "", "without saying where"),
        ("https://a.example/x", "http://a.example/x", "from https to http"),
        ("https://a.example/x", "http://127.0.0.1/x", "from https to http"),
        ("http://127.0.0.1/x", "http://a.example/x", "is http to another host"),
        ("http://127.0.0.1/x", FILE + "///etc/passwd", "has the scheme 'file'"),
        ("https://a.example/x", "ftp://a.example/x", "has the scheme 'ftp'"),
        ("https://a.example/x", "https://ann:secret@b.example/", "holds a name or password"),
        ("https://a.example/x", "https://[::1/", "is no address"),
        ("https://a.example/x", "https://a.example:port/", "is no address"),
    ],
)
def test_a_redirect_to_anywhere_else_is_refused(url: str, location: str, words: str) -> None:
    """A mirror must not make a host speak in the clear, or read its own files."""
    with pytest.raises(SourceFailed, match=words):
        led_to(url, location)
