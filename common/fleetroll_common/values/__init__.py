"""Pure values: versions, platforms, codes, errors, clocks, ids, back-off. No I/O, no protobuf, no SQL in here."""
