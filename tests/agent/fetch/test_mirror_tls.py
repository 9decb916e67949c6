"""Mirrors over https: certificates are always checked, against what the system trusts."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.fetch import MirrorSource, SourceFailed
from fleetroll_server.certificates import Pair, issue_leaf, make_ca
from tests.faults.sources import DATA, PATH, fetch
from tests.faults.web_mirror import WebMirror

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.fetch import TargetSource

CA = make_ca("mirrors", datetime.now(UTC))


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """Return what a server needs that has a certificate of the CA for this host."""
    leaf = issue_leaf(CA, [], datetime.now(UTC))
    file = tmp_path / "leaf.pem"
    file.write_bytes(leaf.certificate + leaf.key)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    return made


def trust(ca: Pair, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the system trust ``ca`` and nobody else, as far as this process sees it."""
    file = folder / "system.pem"
    file.write_bytes(ca.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder / "none"))


async def words(source: TargetSource) -> str:
    with pytest.raises(SourceFailed) as caught:
        async for _ in source.open(PATH, 0):
            pass
    return str(caught.value)


async def test_a_mirror_whose_certificate_the_system_trusts_gives_its_bytes(
    dest: Path, tmp_path: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin's own CA is enough, once the host trusts it."""
    trust(CA, tmp_path, monkeypatch)
    with WebMirror(tls=context) as web:
        await fetch(MirrorSource(web.pattern), dest)
    assert dest.read_bytes() == DATA


async def test_a_mirror_with_a_certificate_of_somebody_else_is_not_read(
    tmp_path: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing turns the check off."""
    trust(make_ca("somebody else", datetime.now(UTC)), tmp_path, monkeypatch)
    with WebMirror(tls=context) as web:
        assert "certificate verify failed" in await words(MirrorSource(web.pattern))
    assert web.asked == []


async def test_a_mirror_under_another_name_than_its_certificate_has_is_not_read(
    tmp_path: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate for one host is none for another."""
    trust(CA, tmp_path, monkeypatch)
    with WebMirror(host="127.0.0.2", tls=context) as web:
        assert "IP address mismatch" in await words(MirrorSource(web.pattern))
    assert web.asked == []


async def test_a_redirect_from_https_to_http_is_not_followed(
    tmp_path: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even on this host itself."""
    trust(CA, tmp_path, monkeypatch)
    with WebMirror() as plain, WebMirror(tls=context, redirects={f"/m/{PATH}": f"{plain.root}/m/{PATH}"}) as web:
        assert "redirects from https to http" in await words(MirrorSource(web.pattern))
    assert plain.asked == []


async def test_an_http_server_behind_an_https_address_is_named_in_words() -> None:
    """A wrong scheme in the settings is found by its message."""
    with WebMirror() as web:
        assert (await words(MirrorSource(web.pattern.replace("http:", "https:")))).startswith("TLS: ")
