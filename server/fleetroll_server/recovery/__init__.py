"""A database that went back: its new incarnation, what hosts show to it, and the time in which nothing is started."""
