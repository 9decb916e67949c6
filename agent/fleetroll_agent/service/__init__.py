"""The agent as a service of its host: unit files, the launcher's own place, and the upgrade of the launcher.

What the service starts is never a slot, which an update may prune, nor an installed package, which somebody may
remove, but a copy of the launcher in the state folder (:mod:`.place`), reached through one small starter that stays.
Templates are pure (:mod:`.templates`); only :mod:`.install` writes, and only :mod:`.upgrade` changes the copy.
"""
