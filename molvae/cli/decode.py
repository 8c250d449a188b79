def decode() -> None:
    """To come."""
