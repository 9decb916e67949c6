"""The inventory: what the hosts are, and people's decisions about single hosts."""
