"""The demonstration: a server and 12 real agents, one good release, two bad ones that are stopped by themselves."""
