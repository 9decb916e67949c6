"""What this host says of itself: read from its files, with and without a running agent, changing nothing."""
