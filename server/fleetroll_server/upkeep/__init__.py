"""What keeps a server's database small: rows that have said what they had to say go, in the background."""
