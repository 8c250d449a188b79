"""Docking into a protein as an objective: receptors, scores and their cache on disk."""
