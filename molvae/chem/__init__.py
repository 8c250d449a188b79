"""Molecules as text and graphs: SMILES, SELFIES, tokens, properties, alerts, similarity."""
