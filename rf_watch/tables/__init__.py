"""Facts of the radio plans that detectors lean on: rows with their source and their dates."""
