"""Errors that a person reads; jobs and models share one set, so that every command ends in the same exit codes."""

from expectations.errors import DataError, LifestageError, SetupError, UnavailableError

__all__ = ["DataError", "LifestageError", "SetupError", "UnavailableError"]
