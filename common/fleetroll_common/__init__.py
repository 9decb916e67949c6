"""What server, agent, clients and publishing share: pure values, signed bytes, trust verification, durable files."""
