"""Errors that a person reads. The exit code tells the orchestrator whether another try can help."""


class LifestageError(Exception):
    """Stops a command with its message and no traceback. ``exit_code`` follows sysexits.h."""

    exit_code = 70


class DataError(LifestageError):
    """The data is wrong or missing; the same input fails again, so a retry is useless."""

    exit_code = 65


class SetupError(LifestageError):
    """A setting, a connection or an installed part is wrong or missing; someone has to mend it."""

    exit_code = 78


class UnavailableError(LifestageError):
    """Something did not answer this time; a retry may help."""

    exit_code = 75
