"""Versioned folders: made, completed, marked, checked, removed, so that a power cut leaves none of them half true."""
