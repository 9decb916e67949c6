"""Where the program begins: its other modules take a moment to load, and ctrl+c ends it then in a sentence too."""

import sys

from fleetroll_cli.interrupting import INTERRUPTED


def start() -> None:
    """Load the program, and run it.

    Raises:
        SystemExit: 130, it was interrupted before it began.
    """
    try:
        from fleetroll_cli.app import main  # noqa: PLC0415 (this is what takes the moment)
    except KeyboardInterrupt:
        sys.stderr.write("fleetroll: interrupted\n")
        sys.exit(INTERRUPTED)
    main()
