"""Objectives fitted to a table of measurements: fingerprints and descriptors in, value and
uncertainty out, stored as plain arrays."""
