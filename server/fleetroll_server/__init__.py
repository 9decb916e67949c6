"""The server: decides what the fleet runs, keeps the truth about it, and speaks with agents and administrators."""
