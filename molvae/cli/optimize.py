def optimize() -> None:
    """To come."""
