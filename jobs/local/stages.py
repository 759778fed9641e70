"""Running stages as processes of their own, so that each gives its memory back, with progress a person can follow."""

import logging
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from expectations.errors import LifestageError
from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.local.processes import end_tree, end_with_parent


class StageFailed(LifestageError):
    """A stage ended with an error; the message names the stage, the cause and the log."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class Stages:
    """Runs stages one after another and shows for each line: seconds since the start, stage, what it says."""

    home: Home
    engine: str
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    @property
    def peak_mb(self) -> float:
        """Largest resident size among this process and every one that has ended under it, in MB."""
        used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return used / 1024

    def say(self, stage: str, line: str) -> None:
        print(f"{self.elapsed:6.1f}s  {stage:<16} {line}", flush=True)

    def run(self, stage: str, package: str, *argv: str, results: bool = False) -> None:
        """``python -m package argv``; its lines go to the terminal and to logs/<stage>.log. StageFailed if it fails.

        ``results``: standard output is meant for the reader as it is, without the stage before each line.
        """
        log_file = self.home.logs / f"{stage.replace(' ', '_')}.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self.say(stage, "…")
        command = [sys.executable, "-m", package, *argv]
        environment = {**os.environ, "LIFESTAGE_HOME": str(self.home.path), "LIFESTAGE_STAGE": stage}
        with (
            log_file.open("w") as log,
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environment,
                text=True,
                stdout=None if results else subprocess.PIPE,
                stderr=subprocess.PIPE if results else subprocess.STDOUT,
                preexec_fn=end_with_parent(),
            ) as process,
        ):
            log.write(" ".join(command) + "\n")
            lines = []
            try:
                for line in process.stderr if results else process.stdout:
                    log.write(line)
                    lines.append(line.rstrip())
                    self.say(stage, line.rstrip())
            except BaseException:  # whoever gives up here leaves no stage running
                end_tree(process.pid)
                raise
        if process.returncode:
            cause = "\n".join(line for line in lines[-15:] if line)
            raise StageFailed(
                f"stage {stage} failed (exit {process.returncode}):\n{cause}\nlog: {log_file}", process.returncode
            )

    @contextmanager
    def narrated(self, stage: str, logger: str) -> Iterator[None]:
        """Shows what ``logger`` says meanwhile as lines of ``stage``."""
        handler = logging.Handler()
        handler.emit = lambda record: self.say(stage, record.getMessage())
        source = logging.getLogger(logger)
        source.addHandler(handler)
        source.propagate = False
        try:
            yield
        finally:
            source.removeHandler(handler)
            source.propagate = True

    @contextmanager
    def background(self, stage: str, work: Callable[[], None]) -> Iterator[None]:
        """Runs ``work`` beside the block; waits for it on leaving and raises what it raised."""
        failure: list[BaseException] = []

        def guarded() -> None:
            began = time.monotonic()
            try:
                work()
                self.say(stage, f"ready after {time.monotonic() - began:.1f} s")
            except Exception as error:
                failure.append(error)

        thread = threading.Thread(target=guarded, name=stage)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        if failure:
            raise failure[0]
