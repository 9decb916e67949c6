"""How the server shows how it is: logs, health, readiness."""
