"""Every error that bertwright raises on purpose.

    BertwrightError
    ├── UserFault                 exit code 2: the input is wrong; the message says what, where and the cure
    │   ├── SettingsError         a recipe, a --set or an option
    │   ├── CorpusError           text that cannot be read as a corpus
    │   ├── VocabularyError       a vocabulary file, or one that does not fit the data
    │   ├── ShardError            a shard directory that is missing, foreign or damaged
    │   ├── RowError              labelled rows of a task
    │   └── ModelError            a model directory or a run that is missing, foreign or does not fit
    │       └── DamagedState      a training state whose bytes are not those that were written
    └── OperationalFault          exit code 1: the input is right, the machine could not do it
        ├── StorageError          a file that may not be read or written
        │   └── DiskFull          no room is left on the disk, or none of what the user may have of it
        ├── DivergenceError       training whose gradients are no longer numbers
        ├── ToldElsewhere         another process of the run failed, and told why
        └── Stopped               SIGINT or SIGTERM, after the state was saved (exit code 128 + signal)

`bertwright.cli.main` is the one place that turns them into exit codes.
"""

from __future__ import annotations


class BertwrightError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code = 1


class UserFault(BertwrightError):
    """The caller's input is wrong.

    The message is one line: `where: what; cure`. `where` is a path, `file:line`, or a settings key.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: object | None = None, cure: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.cure = cure
        super().__init__(("" if where is None else f"{where}: ") + what + ("" if cure is None else f"; {cure}"))


class SettingsError(UserFault):
    """A recipe, a `--set` or an option has a fault. Several faults stand one a line."""


class CorpusError(UserFault):
    """Text that cannot be read as a corpus."""


class VocabularyError(UserFault):
    """A vocabulary file has a fault, or does not fit what it is used with."""


class ShardError(UserFault):
    """A shard directory is missing, foreign, incomplete or damaged."""


class RowError(UserFault):
    """A labelled row of a task cannot be used."""


class ModelError(UserFault):
    """A model directory or a run is missing, foreign, or does not fit what is asked of it."""


class DamagedState(ModelError):
    """A training state's bytes are not those that were written; an earlier state may be whole."""


class OperationalFault(BertwrightError):
    """The input is right, but the machine could not do the work."""


class StorageError(OperationalFault):
    """A disk is full, or a file may not be read or written."""


class DiskFull(StorageError):
    """No room is left on a disk; work that can do without what it was writing may go on."""


class DivergenceError(OperationalFault):
    """The gradient was not finite in several steps in a row."""


class Stopped(OperationalFault):
    """SIGINT or SIGTERM arrived; the state was saved first."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


class ToldElsewhere(OperationalFault):
    """Another process of the same run failed, told why, and ends with `exit_code`: nothing is left to say here."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process of the run failed and told why")
        self.exit_code = exit_code
