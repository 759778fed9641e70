"""Commands run as a user runs them: whole processes, timed, with the memory of all of them together."""

import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Run:
    """seconds by the clock; cpu_seconds, user and system; peak_mb: most resident memory of the command and all it
    started, sampled."""

    seconds: float
    cpu_seconds: float
    peak_mb: float

    def __add__(self, other: "Run") -> "Run":
        """One after the other."""
        return Run(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds, max(self.peak_mb, other.peak_mb))

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.cpu_seconds:.1f} s of CPU, {self.peak_mb:,.0f} MB"


class Watch(threading.Thread):
    """Samples the memory and the processor time of a process and of all that it started."""

    def __init__(self, pid: int):
        super().__init__()
        self.peak_mb, self.cpu_seconds, self._pid, self._is_over = 0.0, 0.0, pid, threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            try:
                root = psutil.Process(self._pid)
                tree = [process.as_dict(["memory_info", "cpu_times"]) for process in (root, *root.children(True))]
                tree = [one for one in tree if all(one.values())]  # a process that ends has neither
            except psutil.NoSuchProcess:  # ended while it was looked at
                continue
            self.peak_mb = max(self.peak_mb, sum(one["memory_info"].rss for one in tree) / 2**20)
            times = (one["cpu_times"] for one in tree)
            self.cpu_seconds = max(self.cpu_seconds, sum(time.user + time.system for time in times))

    def end(self) -> None:
        self._is_over.set()
        self.join()


def run_module(*arguments: object, **environment: str) -> Run:
    """``python -m`` with ``arguments``; CalledProcessError if it fails."""
    command = [sys.executable, "-m", *map(str, arguments)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    watch = Watch(process.pid)
    watch.start()
    try:
        status = process.wait()
    finally:
        seconds = time.perf_counter() - began
        watch.end()
    if status:
        raise subprocess.CalledProcessError(status, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Java's share is in the samples alone: the process does not wait for it.
    return Run(seconds, max(cpu, watch.cpu_seconds), watch.peak_mb)


def aggregate(home: Path, first: date, last: date, engine: str = "sail") -> Run:
    days = ("--from", first, "--to", last)
    return run_module("jobs", "aggregate", "--home", home, "--engine", engine, *days, **_machine(engine))


def build_features(home: Path, ds: date, engine: str = "sail") -> Run:
    return run_module("jobs", "build_features", "--home", home, "--engine", engine, "--ds", ds, **_machine(engine))


def _machine(engine: str) -> dict[str, str]:
    return {"LIFESTAGE_SPARK_MASTER": "local[2]"} if engine == "spark" else {}


def rival(name: str, *arguments: object) -> Run:
    return run_module(f"tests.benchmarks.rivals.{name}", *arguments, POLARS_MAX_THREADS="2")
