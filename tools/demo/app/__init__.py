"""The second demonstration: a web shop and its gateway on two hosts, through good and bad releases."""
