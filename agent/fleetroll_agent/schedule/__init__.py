"""What a host does without a server when its owner lets it: ``offline = "local_schedule"`` of agent.toml."""
