"""Writes tests/house/roles.json: which role and scope the contract declares for each RPC.

`buf breaking` does not see a changed option, so the table is committed and a test compares it: a change of rights is a
line in a review. Usage: python -m tools.house.roles
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tools.house import contract

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

TABLE = contract.ROOT / "tests" / "house" / "roles.json"


def table(files: FileDescriptorSet) -> dict[str, list[str]]:
    """Return (role, scope) by the path of each RPC; an RPC without the option has an empty role."""
    return {rpc.path: [rpc.role, rpc.scope] for rpc in contract.rpcs(files)}


def main() -> None:
    """Write the table."""
    lines = [f"  {json.dumps(path)}: {json.dumps(access)}" for path, access in table(contract.image()).items()]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
