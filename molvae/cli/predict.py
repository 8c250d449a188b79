def predict() -> None:
    """To come."""
