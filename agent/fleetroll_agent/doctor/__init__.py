"""What is wrong with this host, and what a person can do about it: small checks that look and change nothing."""
