"""Where updates come from: a server, or a recording of one."""
