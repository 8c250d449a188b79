import typer

app = typer.Typer(help="List, fetch and prepare data sets.")


@app.command()
def list() -> None:
    """To come."""
