"""What the console knows of a fleet and how it is looked at: no screen, no wire, no clock."""
