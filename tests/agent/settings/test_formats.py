"""Texts with a form of their own: windows, pins, mirrors, addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.settings import Pin, PinKind, Window, formats
from fleetroll_common.values.version import Version
from tests.agent.settings.told import told

FILE = "file:" + "//"


@pytest.mark.parametrize(
    ("text", "window", "minutes"),
    [
        ("mon-fri 22:00-05:00 Europe/Berlin", Window((0, 1, 2, 3, 4), 1320, 300, "Europe/Berlin"), 420),
        ("sat,sun 00:00-24:00 local", Window((5, 6), 0, 1440, "local"), 1440),
        ("sat-mon  23:59-00:00\tUTC", Window((0, 5, 6), 1439, 0, "UTC"), 1),
        ("wed 01:00-02:30 Etc/GMT+5", Window((2,), 60, 150, "Etc/GMT+5"), 90),
        ("fri,mon-tue 12:00-11:59 America/Argentina/Buenos_Aires", None, 1439),
        ("tue-mon 00:00-00:01 local", Window((0, 1, 2, 3, 4, 5, 6), 0, 1, "local"), 1),
    ],
)
def test_a_window_is_read(text: str, window: Window | None, minutes: int) -> None:
    """Days, times and zone, over midnight and over the end of the week too."""
    read = formats.window(text)
    assert window is None or read == window
    assert read.minutes == minutes
    assert formats.window(str(read)) == read, "what is shown can be written again"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mon,tue,wed 22:00-05:00 local", "mon-wed 22:00-05:00 local"),
        ("sun-mon,thu 01:00-24:00 UTC", "mon,thu,sun 01:00-24:00 UTC"),
        ("mon-sun 00:00-09:05 UTC", "mon-sun 00:00-09:05 UTC"),
    ],
)
def test_a_window_is_shown_in_short(text: str, shown: str) -> None:
    """As people write it, from Monday on."""
    assert str(formats.window(text)) == shown


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mon 22:00-05:00", "three parts"),
        ("mon 22:00 - 05:00 local", "three parts"),
        ("mon 22:00 local", "no times such as 22:00-05:00, but '22:00'"),
        ("mon 22:00-22:00 local", "ends when it begins"),
        ("mon 00:00-00:00 local", "ends when it begins"),
        ("mon 24:00-01:00 local", "begins at 24:00"),
        ("mon 22:00-24:01 local", "no time such as 22:00, but '24:01'"),
        ("mon 1:00-02:00 local", "no time such as 22:00, but '1:00'"),
        ("mon 01:60-02:00 local", "'01:60'"),
        ("mon \N{ARABIC-INDIC DIGIT ONE}1:00-02:00 local", "no time"),
        ("monday 01:00-02:00 local", "no day such as mon, tue, wed, thu, fri, sat, sun, but 'monday'"),
        ("Mon 01:00-02:00 local", "'Mon'"),
        ("mon,mon 01:00-02:00 local", "names a day twice"),
        ("mon-wed,tue 01:00-02:00 local", "names a day twice"),
        ("mon- 01:00-02:00 local", "no day"),
        (",mon 01:00-02:00 local", "no day"),
        ("mon 01:00-02:00 berlin", "no zone such as Europe/Berlin or local, but 'berlin'"),
        ("mon 01:00-02:00 ../../etc/passwd", "no zone"),
        ("mon 01:00-02:00 Europe/", "no zone"),
        (f"mon 01:00-02:00 {'A' * 65}", "no zone"),
    ],
)
def test_a_window_that_means_nothing_is_refused(text: str, fault: str) -> None:
    """What could be read in two ways, or in none, is told."""
    line, sentence, remedy = told(f'[products.shop]\nkind = "slots"\nwindows = [\n"{text}"]')
    assert line == 4
    assert sentence.startswith("products.shop.windows[0] = ")
    assert fault in sentence
    assert remedy == 'write it like "mon-fri 22:00-05:00 Europe/Berlin"'


def test_two_windows_that_are_the_same_are_one_too_many() -> None:
    """Written differently or not."""
    text = 'windows = ["sat,sun 01:00-02:00 local", "sat-sun 01:00-02:00 local"]'
    assert "stands there twice" in told(f'[products.shop]\nkind = "slots"\n{text}')[1]


@given(st.integers(0, 1439), st.integers(0, 1440))
def test_a_window_is_as_long_as_the_clock_goes_round(begin: int, end: int) -> None:
    """From its begin on, the window's length leads to its end."""
    if begin == end:
        return
    read = formats.window(f"mon {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02} local")
    assert 1 <= read.minutes <= 1440
    assert (read.from_minutes + read.minutes - read.to_minutes) % 1440 == 0


@pytest.mark.parametrize(
    ("text", "pin"),
    [
        ("major 0", Pin(PinKind.MAJOR, (0,))),
        ("minor 1.4", Pin(PinKind.MINOR, (1, 4))),
        ("patch 0.9.14", Pin(PinKind.PATCH, (0, 9, 14))),
    ],
)
def test_a_pin_is_read_and_written_the_same(text: str, pin: Pin) -> None:
    """Kind and numbers, and the same text again."""
    assert formats.pin(text) == pin
    assert str(pin) == text


@pytest.mark.parametrize(
    "text", ["major", "major 1.4", "minor 1", "patch 1.4", "minor 01.4", "minor  1.4", "minor 1.x", "MINOR 1.4", "1.4"]
)
def test_a_pin_of_another_form_is_refused(text: str) -> None:
    """A pin that holds less than was meant would let through what it should not."""
    assert told(f'[products.shop]\nkind = "slots"\npin = "{text}"')[:2] == (
        3,
        f"products.shop.pin = '{text}' is no pin: major has one number, minor two, patch three",
    )


@pytest.mark.parametrize(
    ("pin", "version", "admitted"),
    [
        ("major 1", "1.9.0", True),
        ("major 1", "2.0.0", False),
        ("minor 1.4", "1.4.9", True),
        ("minor 1.4", "1.5.0", False),
        ("patch 1.4.2", "1.4.2", True),
        ("patch 1.4.2", "1.4.3", False),
    ],
)
def test_a_pin_admits_what_begins_with_it(pin: str, version: str, admitted: bool) -> None:
    """The pinned numbers may not change, the others may."""
    assert formats.pin(pin).admits(Version.parse(version)) is admitted


@pytest.mark.parametrize(
    "pattern",
    [
        "https://mirror.example/repo/{path}",
        "https://mirror.example:8443/{path}?x=1",
        "https://mirror.example/get?file={path}",
        "http://localhost/{path}",
        "http://127.0.0.9:80/{path}",
        "http://[::1]:80/{path}",
        f"{FILE}/mnt/repo/{{path}}",
        f"{FILE}localhost/mnt/{{path}}",
    ],
)
def test_a_mirrors_pattern_is_taken_as_it_is(pattern: str) -> None:
    """https to anywhere, http to the machine itself, files of the machine itself."""
    assert formats.mirror(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("https://mirror.example/", "exactly once"),
        ("https://mirror.example/{path}/{path}", "exactly once"),
        ("https://mirror.example/{path}/{name}", "no other brace"),
        ("https://{path}/x", "in its path"),
        ("https://a/x#{path}", "a fragment"),
        ("https://a/{path}#x", "a fragment"),
        ("https://ann:secret@a/{path}", "a user"),
        ("https://a:0/{path}", "port 0"),
        ("https://a:99999/{path}", "is no URL"),
        ("https://[::1/{path}", "is no URL"),
        ("https:///{path}", "has no host"),
        ("https://-a/{path}", "has no host"),
        ("https://a b/{path}", "holds a space"),
        ("https://münchen.example/{path}", "outside ASCII"),
        ("http://mirror.example/{path}", "only https goes over a network"),
        ("http://localhost.example/{path}", "only https goes over a network"),
        ("ftp://a/{path}", "is neither https nor a file"),
        ("a/{path}", "is no URL"),
        (f"{FILE}other/mnt/{{path}}", "of another machine"),
        (f"{FILE}/x?f={{path}}", "in its path"),
        ("file:/mnt/{path}", "is no URL"),
    ],
)
def test_a_mirrors_pattern_that_is_none_is_refused(pattern: str, fault: str) -> None:
    """A pattern that leads elsewhere than it seems to is told when the file is read."""
    line, sentence, _ = told(f'[download]\nmirrors = ["https://a/{{path}}",\n\n"{pattern}"]')
    assert (line, sentence.startswith("download.mirrors[1] = ")) == (4, True)
    assert fault in sentence


@pytest.mark.parametrize(
    "text", ["http://", "https:///x", "ftp://a", "a:80", "http://u@a/", "http://a/#x", "http://[x]/"]
)
def test_a_health_url_that_can_not_be_asked_is_refused(text: str) -> None:
    """A probe that could never succeed would roll every update back."""
    with pytest.raises(ValueError, match=r"has no host|is neither|is no URL|holds"):
        formats.probe_url(text)


@pytest.mark.parametrize("text", ["a", "a:", ":80", "a:0", "a:65536", "a:080", "[::1]", "::1:80x", "a b:80", "[a]:80"])
def test_an_address_without_host_and_port_is_refused(text: str) -> None:
    """Both are needed, and the port is a number that there is."""
    with pytest.raises(ValueError, match=r"port|host|address"):
        formats.address(text)


@pytest.mark.parametrize("text", [".", "a.", ".a", "a..b", "a b"])
def test_names_of_fields_have_one_dot_between_them(text: str) -> None:
    """An empty name would be looked for in vain."""
    with pytest.raises(ValueError, match="dots between them"):
        formats.fields(text)


@pytest.mark.parametrize(
    "place",
    ["/media/usb/fleet", "/srv/mirror", "https://mirror.example/repo", "https://mirror.example/get?file={path}"],
)
def test_a_place_of_a_whole_repository_is_taken_as_it_is(place: str) -> None:
    assert formats.source(place) == place


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("fleet.bundle", "neither an absolute path nor a URL"),
        ("/media/a\nb", "neither an absolute path nor a URL"),
        ("http://mirror.example/repo", "only https goes over a network"),
        ("https://user@mirror.example/repo", "holds a user"),
        ("file:" + "//other/srv/mirror", "of another machine"),
    ],
)
def test_a_place_that_is_none_is_refused(place: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        formats.source(place)
