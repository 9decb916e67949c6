"""What happened and what stands, for watchers: the log, what its events touched, and the hub that hands both on."""
