"""``python -m molvae`` is the ``molvae`` command."""

from molvae.cli import main

if __name__ == "__main__":
    main()
