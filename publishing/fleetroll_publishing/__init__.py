"""What makes releases installable: keys, signed roles, and the artefacts that they list. Never on hosts."""
