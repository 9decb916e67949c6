"""Versioned folders on the host: made, completed, marked, checked and removed so that a power cut leaves none half true."""
