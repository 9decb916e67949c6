"""The contract's services: one file per service; conversion and errors apart. No rule is made here."""
