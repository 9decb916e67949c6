"""A host carries one library that computes signatures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.repositories import START, Repository

ROOT = Path(__file__).resolve().parents[3]

CHILD = """
import json, sys
from datetime import datetime
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "cryptography":
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())

from fleetroll_common.trust import MetadataAbsent, TrustClient
from fleetroll_common.values.clock import FakeClock

folder, start = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
files = {name: bytes.fromhex(data) for name, data in json.loads((folder / "files.json").read_text()).items()}

class Source:
    def fetch(self, name, max_bytes):
        if name not in files:
            raise MetadataAbsent(name)
        return files[name]

client = TrustClient(folder / "trust", files["1.root.json"], Source(), FakeClock(start), start)
client.refresh()
print(client.targets("agent")[0].path)
assert not any(name.split(".")[0] == "cryptography" for name in sys.modules)
"""


def test_metadata_is_verified_without_the_module_cryptography(tmp_path: Path) -> None:
    """Blocked, not merely absent by chance: a server's environment has it."""
    files = {name: data.hex() for name, data in Repository().files.items()}
    (tmp_path / "files.json").write_text(json.dumps(files))
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD, str(tmp_path), START.isoformat()],
        env={"PYTHONPATH": str(ROOT / "common")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout == "agent/1.0.0/linux-x86_64-cp311.tar.zst\n"


def test_the_trust_room_does_not_name_it() -> None:
    sources = (ROOT / "common/fleetroll_common").rglob("*.py")
    assert [path.name for path in sources if "import cryptography" in path.read_text("utf-8")] == []
