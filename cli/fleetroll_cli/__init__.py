"""The command line: one module per noun; knows the server through its RPCs alone."""
