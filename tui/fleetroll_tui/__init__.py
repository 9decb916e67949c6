"""The console: what an operator sees of a fleet, live, and the few decisions that are taken from it.

``model`` is what is known, pure; ``feed`` is where it comes from; ``convert`` makes the one from the other; ``screens``
and ``widgets`` show it; ``commands`` is the one registry of keys.
"""
