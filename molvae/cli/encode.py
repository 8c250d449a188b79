def encode() -> None:
    """To come."""
