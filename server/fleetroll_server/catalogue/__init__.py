"""What may be installed: the signed repository, the artefacts behind it, and the gate that lets new releases in."""
