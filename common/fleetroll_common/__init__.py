"""What server, agent, clients and publishing tools share: pure values, signed bytes, trust verification, durable files."""
