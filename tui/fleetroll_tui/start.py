"""Where the program begins: its other modules take a moment to load, and ctrl+c ends it then in a sentence too."""

import sys

EXIT_INTERRUPTED = 130


def start() -> int:
    """Load the program, and run it.

    Raises:
        SystemExit: 130, it was interrupted before it began.
    """
    try:
        from fleetroll_tui.program import main  # noqa: PLC0415 (this is what takes the moment)
    except KeyboardInterrupt:
        sys.stderr.write("fleetroll-console: interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    return main()
