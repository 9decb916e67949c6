"""Runs the real launcher with other waiting times than those of its command line.

Usage: run_launcher.py STATE LIMITS_JSON (fields of ``limits.Limits``). The environment's
``LAUNCHER_SHIM`` may name another first program of every child.
"""

from __future__ import annotations

import json
import os
import sys

from fleetroll_agent.launcher import posix
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.main import note, run

if __name__ == "__main__":
    posix._SHIM = os.environ.get("LAUNCHER_SHIM", posix._SHIM)
    try:
        sys.exit(run(sys.argv[1], Limits(**json.loads(sys.argv[2]))))
    except LauncherError as error:
        note(str(error))
        sys.exit(1)
