"""``fleetroll keys``: making, exchanging, showing and keeping the keys that releases are signed with."""
