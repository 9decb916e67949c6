"""Where the program begins: its other modules take a moment to load, and ctrl+c ends it then in a sentence too."""

import os
import sys

EXIT_INTERRUPTED = 130
FRAMES_PER_SECOND = 200
"""How soon the framework paints what a key did: at its own 60 a key waits 8 ms for it, and 16 where one was missed.
There is a frame only where something changed."""


def start() -> int:
    """Load the program, and run it.

    Raises:
        SystemExit: 130, it was interrupted before it began.
    """
    os.environ.setdefault("TEXTUAL_FPS", str(FRAMES_PER_SECOND))  # read once, while the framework is loaded
    try:
        from fleetroll_tui.program import main  # noqa: PLC0415 (this is what takes the moment)
    except KeyboardInterrupt:
        sys.stderr.write("fleetroll-console: interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    try:
        return main()
    finally:
        from fleetroll_common.streams import let_go  # noqa: PLC0415 (loaded by now)

        for stream in (sys.stdout, sys.stderr):  # of a terminal that is gone
            let_go(stream)
