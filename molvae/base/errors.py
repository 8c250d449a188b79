"""The errors molvae raises on purpose, each one clear sentence, and their exit codes."""

from __future__ import annotations


class MolvaeError(Exception):
    """Something the user can understand and mend; the command line prints it without a traceback.

    The message is one sentence that says what is wrong, where (file, row, key, molecule) and what
    to do. ``exit_code`` is the status with which the command line ends.
    """

    exit_code = 1


class InputError(MolvaeError):
    """Data that cannot be used: an empty file, a wrong column, a label of text, a bad molecule."""

    exit_code = 3


class ConfigError(MolvaeError):
    """A setting that does not exist, has the wrong type or is out of range."""

    exit_code = 4


class ModelError(MolvaeError):
    """A model, corpus or campaign on disk that is damaged, foreign or of another format."""

    exit_code = 5


class FileError(MolvaeError):
    """The file system said no: missing, a directory, no permission, disk full."""

    exit_code = 6


class DownloadError(MolvaeError):
    """A data set that could not be fetched, or whose checksum is not the pinned one."""

    exit_code = 7


class TrainingError(MolvaeError):
    """Training that cannot go on: a non-finite loss, out of memory."""

    exit_code = 8


class OracleError(MolvaeError):
    """An objective that cannot be loaded, or that failed on a whole batch."""

    exit_code = 9


class BudgetError(MolvaeError):
    """More evaluations were asked for than the budget of unique molecules allows."""

    exit_code = 9


class InterruptedRun(MolvaeError):
    """Ctrl-C or SIGTERM: what was done so far is saved; ``exit_code`` is 128 + the signal."""

    exit_code = 130

    def __init__(self, message: str, signal_number: int = 2) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
