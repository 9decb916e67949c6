"""``python3 -m fleetroll_agent.launcher``."""

import sys

from fleetroll_agent.launcher.main import main

if __name__ == "__main__":
    sys.exit(main())
