"""Who may call what: tokens, roles, scopes, fleets; one interceptor that enforces what the contract declares."""
