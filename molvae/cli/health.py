def health() -> None:
    """To come."""
