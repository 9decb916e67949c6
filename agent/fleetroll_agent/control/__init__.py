"""Local control: what a person asks of the running agent through its socket, and what it answers."""
