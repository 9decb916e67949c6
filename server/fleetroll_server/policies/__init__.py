"""Policies in the database: read by each decision, changed by people, told to hosts."""
