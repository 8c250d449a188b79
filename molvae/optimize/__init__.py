"""Optimisation in latent space: a recorded campaign of suggestions and observations."""
