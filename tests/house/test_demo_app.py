"""The second demonstration's parts: its releases do what they are for, its supervisor turns nobody away, its files are
those of the handbook."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.settings.reading import parse_settings
from tools.demo.app import host as web
from tools.demo.app.host import FASTER, ON_HOST, WebHost
from tools.demo.app.load import Load, ask
from tools.demo.app.releases import GATEWAY, RELEASES, SHOP, Release, write
from tools.demo.fleet import free_port
from tools.demo.sources import DemoError, Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
KEEPER = ON_HOST / "keeper.py"


def wait(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def release(product: str, version: str) -> Release:
    return next(one for one in RELEASES if (one.product, one.version) == (product, version))


def runs(folder: Path, database: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the shop's program in ``folder``."""
    environ = {**os.environ, "SHOP_DB": str(database)}
    environ.pop("SHOP_CURRENCY", None)
    command = [sys.executable, "-B", str(folder / "shop.py"), *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


# Releases.


@pytest.mark.parametrize("one", RELEASES, ids=lambda one: f"{one.product}-{one.version}")
def test_every_release_is_a_program_of_its_own_version_and_a_commit(tmp_path: Path, one: Release) -> None:
    source = write(one, tmp_path)
    folder = source if source.is_dir() else source.parent
    text = (folder / one.entry).read_text("utf-8")
    assert f'VERSION = "{one.version}"' in text
    compile(text, one.entry, "exec")
    assert subprocess.run(["git", "-C", folder, "status", "--short"], capture_output=True, check=True).stdout == b""


def test_a_change_that_no_longer_fits_is_told_and_not_left_out(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="not there exactly once"):
        write(Release(SHOP, "9.9.9", (Mistake("shop.py", "no such line", ""),)), tmp_path)


def test_the_good_releases_migrate_step_by_step_and_keep_the_orders(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    for version, said in (("1.0.0", "schema 0 -> 1"), ("2.0.0", "schema 1 -> 2"), ("5.0.0", "schema 2 -> 2")):
        folder = write(release(SHOP, version), tmp_path)
        assert runs(folder, database, "migrate").stdout.strip() == said
        with closing(sqlite3.connect(database)) as known, known:
            known.execute("insert into orders (item, cents) values ('apple', 100)")
        assert runs(folder, database, "smoke").returncode == 0
        assert runs(folder, database, "version").stdout.strip() == version
    with closing(sqlite3.connect(database)) as known:
        assert known.execute("select count(*) from orders").fetchone() == (3,)


def test_a_backup_is_brought_back_into_the_same_file_with_its_schema(tmp_path: Path) -> None:
    database, backup = tmp_path / "shop.db", tmp_path / "backup.db"
    old, new = (write(release(SHOP, version), tmp_path) for version in ("1.0.0", "2.0.0"))
    runs(old, database, "migrate")
    assert runs(new, database, "backup", str(backup)).returncode == 0
    runs(new, database, "migrate")
    assert runs(old, database, "restore", str(backup)).returncode == 0
    with closing(sqlite3.connect(database)) as known:
        assert known.execute("pragma user_version").fetchone() == (1,)


def test_the_third_release_fails_its_smoke_test_by_a_variable_that_no_host_has(tmp_path: Path) -> None:
    ended = runs(write(release(SHOP, "3.0.0"), tmp_path), tmp_path / "shop.db", "smoke")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "KeyError: 'SHOP_CURRENCY'"


def test_the_fourth_release_passes_its_smoke_test_and_fails_on_orders_of_before(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    good, bad = (write(release(SHOP, version), tmp_path) for version in ("2.0.0", "4.0.0"))
    runs(good, database, "migrate")
    with closing(sqlite3.connect(database)) as known, known:
        known.execute("insert into orders (item, cents) values ('apple', 100)")
    assert runs(bad, database, "smoke").returncode == 0
    assert runs(bad, database, "migrate").stdout.strip() == "schema 2 -> 3"
    with kept(bad, database) as (_, port), pytest.raises(OSError, match="500"):
        ask(port, path="/health")


# The supervisor, and visitors.


@contextmanager
def kept(folder: Path, database: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Keep what lies in ``folder`` running; give the supervisor and its port."""
    port, entry = free_port(), next(iter(folder.glob("*.py")))
    words = [str(port), str(folder / "pid"), sys.executable, "-B", str(entry), "serve"]
    environ = {**os.environ, "SHOP_DB": str(database), **environment}
    keeper = subprocess.Popen([sys.executable, str(KEEPER), *words], env=environ, start_new_session=True)
    try:
        wait((folder / "pid").exists)
        yield keeper, port
    finally:
        keeper.terminate()
        assert keeper.wait(15) == 0


def wait_for_more(load: Load) -> None:
    reached = load.counted.requests + 50
    wait(lambda: load.counted.requests > reached)


def test_nobody_is_turned_away_while_the_program_is_started_anew_again_and_again(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    shop, old, new = (
        write(release(*one), tmp_path) for one in ((SHOP, "2.0.0"), (GATEWAY, "1.0.0"), (GATEWAY, "2.0.0"))
    )
    runs(shop, database, "migrate")
    with (  # who looks for failures must stop before what they visit
        kept(shop, database) as (shops, shop_port),
        kept(old.parent, database, SHOP_URL=f"http://127.0.0.1:{shop_port}") as (gateways, port),
        Load([port]) as load,
    ):
        wait(lambda: load.counted.versions(port) == {"1.0.0"})
        new.replace(old)
        for keeper in (gateways, shops, gateways):
            keeper.send_signal(signal.SIGHUP)
            wait_for_more(load)
        wait(lambda: load.counted.versions(port) == {"1.0.0", "2.0.0"})
    assert load.counted.failures == []
    assert load.counted.requests == load.counted.answers.total()


def test_what_ends_by_itself_is_started_again_and_nothing_outlives_its_supervisor(tmp_path: Path) -> None:
    shop = write(release(SHOP, "2.0.0"), tmp_path)
    runs(shop, tmp_path / "shop.db", "migrate")
    with kept(shop, tmp_path / "shop.db") as (_, port):
        first = ask(port)["process"]
        os.kill(first, signal.SIGKILL)
        second = ask(port)["process"]
        assert second != first
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_a_visitor_who_is_turned_away_or_gets_an_error_counts_as_failed(tmp_path: Path) -> None:
    gateway = write(release(GATEWAY, "1.0.0"), tmp_path)
    nobody = free_port()
    with (
        kept(gateway.parent, tmp_path, SHOP_URL=f"http://127.0.0.1:{nobody}") as (_, port),
        Load([port, nobody]) as load,
    ):
        wait(lambda: {line.partition(": ")[0] for line in load.counted.failures} == {f"port {port}", f"port {nobody}"})
    assert load.counted.answers.total() == 0
    assert any("502" in line for line in load.counted.failures)


# The host's own files, and the handbook's.


def test_a_hosts_files_are_made_for_its_own_place_alone(tmp_path: Path) -> None:
    host = WebHost("web-1", tmp_path / "web")
    settings = host.settings()
    texts = [settings, *((host.folder / name).read_text("utf-8") for name in ("shop-hook", "gateway-hook"))]
    for text in texts:
        assert not any(usual in text for usual in (web.FOLDER, web.SHOP_PORT, web.GATEWAY_PORT))
    assert all(fast in settings and slow not in settings for slow, fast in FASTER.items())


def test_the_handbooks_example_is_the_demonstrations_own_and_the_agent_understands_it() -> None:
    page = (ROOT / "docs" / "operating" / "products.md").read_text("utf-8")
    for name, language in (("agent.toml", "toml"), ("shop-hook", ""), ("gateway-hook", "")):
        assert f"```{language}\n{(ON_HOST / name).read_text('utf-8')}```\n" in page, name
    settings = parse_settings((ON_HOST / "agent.toml").read_text("utf-8"))
    assert {SHOP, GATEWAY} <= {product.name for product in settings.products}
