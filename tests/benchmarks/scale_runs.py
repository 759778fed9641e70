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


def run_module(*arguments: object, **environment: str) -> Run:
    """``python -m`` with ``arguments``; CalledProcessError if it fails."""
    command, peak, is_over = [sys.executable, "-m", *map(str, arguments)], [0.0], threading.Event()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, is_over))
    watcher.start()
    try:
        status = process.wait()
    finally:
        seconds = time.perf_counter() - began
        is_over.set()
        watcher.join()
    if status:
        raise subprocess.CalledProcessError(status, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu, peak[0])


def _watch(pid: int, peak: list[float], is_over: threading.Event) -> None:
    while not is_over.wait(SAMPLE_SECONDS):
        peak[0] = max(peak[0], _resident(pid))


def _resident(pid: int) -> float:
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.NoSuchProcess:  # ended while it was looked at
        pass
    return total / 2**20


def aggregate(home: Path, first: date, last: date, engine: str = "sail") -> Run:
    days = ("--from", first, "--to", last)
    return run_module("jobs", "aggregate", "--home", home, "--engine", engine, *days, **_machine(engine))


def build_features(home: Path, ds: date, engine: str = "sail") -> Run:
    return run_module("jobs", "build_features", "--home", home, "--engine", engine, "--ds", ds, **_machine(engine))


def _machine(engine: str) -> dict[str, str]:
    return {"LIFESTAGE_SPARK_MASTER": "local[2]"} if engine == "spark" else {}


def rival(name: str, *arguments: object) -> Run:
    return run_module(f"tests.benchmarks.rivals.{name}", *arguments, POLARS_MAX_THREADS="2")
