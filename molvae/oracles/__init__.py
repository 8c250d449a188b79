"""Objectives, where they come from, and their evaluation within a budget."""
