"""The engine's shell: reads rows, asks the domain, writes what it decided, and pushes only after the commit.

Locks are taken in one order everywhere: agent, rollout with its waves, hosts, budgets (global, fleet, rollout), events.
"""
