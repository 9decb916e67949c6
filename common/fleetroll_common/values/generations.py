"""How far apart two generations of one host and product may be: both ends take it from one place."""

MAX_JUMP = 2**20
"""How far one assignment may raise a host's highest generation.

A server counts them up by one per host, from the higher one of its own and the host's. One that is far above was not
counted: a host that took it would pass over everything that its real server assigns afterwards, for good. A million
leaves room for whatever a server lost or a host forgot, and whoever sends a million of them gets no further than 2**40.
"""
