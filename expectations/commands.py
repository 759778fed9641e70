"""What every command line here shares: parsers, the table of commands, log lines, exit codes. Imports nothing heavy."""

import argparse
import errno
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from expectations.errors import LifestageError, SetupError, UnavailableError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
"""What a wrong folder gives. Any other OSError may be a defect and keeps its traceback."""


class _Clock(logging.Formatter):
    """Wall time and seconds since start before each line, so that a log says where the time went."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        if os.environ.get("LIFESTAGE_STAGE"):  # whoever called this command tells the time
            return level + record.getMessage()
        head = f"{time.strftime('%H:%M:%S')} {record.relativeCreated / 1000:7.1f}s"
        return f"{head}  {level}{record.getMessage()}"


def command_parser(package: str, name: str, doc: str) -> argparse.ArgumentParser:
    """A parser named as the command is typed, with ``--home``; abbreviations are errors, so that golden files hold."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {package} {name}",
        description=doc,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", metavar="DIR", help="the shop's home (default: $LIFESTAGE_HOME, else .lifestage)")
    return parser


def model_version(text: str) -> tuple[str, int]:
    """``NAME/VERSION`` → (name, version). A version is a number: an alias can move between two runs of a day."""
    name, _, version = text.rpartition("/")
    if not name or not version.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME/VERSION, such as lifestage_behaviour/3")
    return name, int(version)


def configure_logging() -> None:
    """Progress to standard error; standard output is for results."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Clock())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in ("jobs", "ml", "__main__"):
        logging.getLogger(name).setLevel(logging.INFO)


def help_text(package: str, commands: dict[str, str]) -> str:
    width = max(map(len, commands)) + 2
    lines = [f"  {name:<{width}}{text}" for name, text in commands.items()]
    return f"usage: python -m {package} COMMAND [--help] …\n\n" + "\n".join(lines)


def run(
    package: str,
    commands: dict[str, str],
    argv: list[str],
    holding: Callable[[str | None], AbstractContextManager] = nullcontext,
) -> int:
    """Runs the command of ``package`` that ``argv`` names: its exit code. Its module is imported only then.

    ``holding``: what holds the home meanwhile, unless the module says ``SHARES_HOME = False``. SIGTERM ends the command
    as Ctrl-C does, so that what it has started is ended with it.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(help_text(package, commands))
        return 0 if argv else 2
    name, *rest = argv
    if name not in commands:
        print(f"no command {name!r}\n\n{help_text(package, commands)}", file=sys.stderr)
        return 2
    configure_logging()
    try:
        with _sigterm_interrupts():
            module = importlib.import_module(f"{package}.{name}")
            args = module.arg_parser().parse_args(rest)
            with holding(getattr(args, "home", None)) if getattr(module, "SHARES_HOME", True) else nullcontext():
                return module.main(args) or 0
    except LifestageError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        code = _exit_code(error)
        if code is None:
            raise
        print(f"{name}: {error}", file=sys.stderr)
        return code
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130


def _exit_code(error: OSError) -> int | None:
    """For what a disk or its rights refuse; None where a person needs the traceback."""
    if error.errno in _FULL:
        return UnavailableError.exit_code
    return SetupError.exit_code if error.errno in _NOT_WRITABLE else None


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python lets only that one set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
