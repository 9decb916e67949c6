"""Where the server keeps its truth: tables, the one writer with its two lanes, reads, migrations."""
