def info() -> None:
    """To come."""
