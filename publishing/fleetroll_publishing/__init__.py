"""What publishers use and hosts never hold: keys, signing of metadata, building of artefacts."""
