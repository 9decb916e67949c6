"""Who this host is: its key, its ratchet, and the files that hold them. The private key never leaves this folder."""
