"""What one does with latent vectors."""
