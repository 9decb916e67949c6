"""Attempts: the pure rules of one product on a host, its journal and record, and the pipeline of the agent itself."""
