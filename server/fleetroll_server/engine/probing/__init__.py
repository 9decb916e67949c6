"""Readings of the checks that gates go by: asked outside, stored inside, judged by :mod:`fleetroll_server.domain`."""
