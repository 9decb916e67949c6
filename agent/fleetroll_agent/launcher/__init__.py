"""The launcher: starts the agent, watches it, and puts the version before back when a new one does not prove itself.

Standard library only, Python >= 3.6: it must run where the agent no longer can. A pure core (``core.step``) decides,
the shell (``loop``, ``effects``, ``posix``) acts. It never opens a socket and never reads what a server sent.
"""
