"""What both ends of a connection spell the same: signed bytes, MACs, channel options, sizes, join strings."""
