"""``python -m fleetroll_tui``."""

from fleetroll_tui.start import start

raise SystemExit(start())
