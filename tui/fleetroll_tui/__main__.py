"""``python -m fleetroll_tui``."""

from fleetroll_tui.program import main

raise SystemExit(main())
