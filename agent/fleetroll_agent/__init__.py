"""The agent of a host: the launcher that protects it, and the parts that fetch, verify, switch and report."""
