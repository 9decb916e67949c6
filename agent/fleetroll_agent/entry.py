"""The first file of an agent that runs: it stands at the root of the artefact, beside the packages.

It finds its own folder, puts that first on the path of imports, and hands over. The host's own packages are not wanted
here: the launcher starts it with ``-I -S -B``.
"""

import os
import sys
from pathlib import Path


def own_folder() -> str:
    """Return the folder that this file really stands in.

    Raises:
        OSError: there is no such file (it was removed, or the program came from elsewhere than a file).
    """
    path = os.path.realpath(globals().get("__file__") or "")
    if not Path(path).is_file() or not (Path(path).parent / "fleetroll_agent" / "app.py").is_file():
        raise FileNotFoundError(path)
    return str(Path(path).parent)


def run() -> int:
    """Run the agent; without an own path refuse, since it would not know which version it is."""
    try:
        folder = own_folder()
    except OSError:
        sys.stderr.write(
            "fleetroll-agent: cannot find the folder that it runs from (OWN_PATH_UNRESOLVED);"
            " start it as a file of a complete slot\n"
        )
        return 1
    sys.path.insert(0, folder)
    from fleetroll_agent.app import main  # noqa: PLC0415 (only now it can be found)

    return int(main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(run())
