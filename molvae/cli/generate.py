def generate() -> None:
    """To come."""
