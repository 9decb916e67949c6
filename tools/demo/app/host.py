"""One host's own things: its folder of the web products, their supervisors, and what its agent.toml says of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.demo.app.load import ask
from tools.demo.fleet import SETTINGS, free_port

if TYPE_CHECKING:
    from tools.demo.processes import Processes

ON_HOST = Path(__file__).parent / "on_host"
FOLDER, SHOP_PORT, GATEWAY_PORT = "/srv/web", "127.0.0.1:8001", "127.0.0.1:8000"
"""What ``on_host/`` is written for; the demonstration has several hosts on one machine."""
FASTER = {
    "min_update_interval_seconds = 600": "min_update_interval_seconds = 0",
    "\ninterval_seconds = 2": "\ninterval_seconds = 0.2",
    "start_seconds = 30": "start_seconds = 6",
}
"""It shows in a minute what a fleet does in days."""


class WebHost:
    """A host that keeps a shop and a gateway."""

    def __init__(self, name: str, folder: Path) -> None:
        """Put its files in place, as its owner would; nothing runs yet."""
        self.name = name
        self.folder = folder
        self.shop_port, self.port = free_port(), free_port()
        (folder / "backups").mkdir(parents=True)
        for hook in ("shop-hook", "gateway-hook"):
            (folder / hook).write_text(self._own((ON_HOST / hook).read_text("utf-8")), encoding="utf-8")
            (folder / hook).chmod(0o755)
        shutil.copy(ON_HOST / "keeper.py", folder)

    def settings(self) -> str:
        """Return its agent.toml."""
        text = self._own((ON_HOST / "agent.toml").read_text("utf-8"))
        for slow, fast in FASTER.items():
            text = text.replace(slow, fast)
        return f"{SETTINGS}\n{text}"

    def start(self, processes: Processes) -> None:
        """Start the supervisors: they are no children of the agent, and wait for something to run."""
        shop = ("python", "-B", str(self.folder / "shop" / "shop.py"), "serve")
        gateway = ("python", "-B", str(self.folder / "gateway.py"))
        here = {"SHOP_DB": str(self.folder / "shop.db"), "SHOP_URL": f"http://127.0.0.1:{self.shop_port}"}
        for name, port, command in (("shop", self.shop_port, shop), ("gateway", self.port, gateway)):
            keeper = ("python", str(self.folder / "keeper.py"), str(port), str(self.folder / f"{name}.pid"))
            processes.start(f"{self.name}-{name}", *keeper, *command, environment=here)

    def page(self) -> dict[str, Any]:
        """Return what visitors see, through the gateway."""
        return ask(self.port)

    def order(self, item: str) -> None:
        """Order something, through the gateway."""
        ask(self.port, item)

    def backups(self) -> list[str]:
        """Return the names of its backups, sorted."""
        return sorted(path.name for path in (self.folder / "backups").iterdir())

    def _own(self, text: str) -> str:
        """Return a file of ``on_host/`` for this host's place."""
        places = {
            FOLDER: str(self.folder),
            SHOP_PORT: f"127.0.0.1:{self.shop_port}",
            GATEWAY_PORT: f"127.0.0.1:{self.port}",
        }
        for usual, own in places.items():
            text = text.replace(usual, own)
        return text
