"""One attempt at a time: what a retry does when its predecessor's processes still live, or their locks are held."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from lifestage_airflow import fence, keeper
from lifestage_airflow.fence import lock_file, machine
from lifestage_airflow.operators import JobOperator

JOB = """
import os, signal, subprocess, sys, time
if {stubborn}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
is_first = not os.path.exists({note!r})
children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) for _ in range(2)]
with open({note!r}, "a") as file:
    print("begun", os.getpid(), *[child.pid for child in children], time.time(), file=file, flush=True)
time.sleep({seconds} if is_first else 0.3)
[child.kill() for child in children]
"""


@pytest.fixture
def job(tmp_path, interpreter, monkeypatch):
    """``job(seconds)``: a job of three processes, short when it runs again; ``job.begun(n)``: those of the first n."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    interpreter("import sys; exec(sys.argv[2])")
    monkeypatch.setenv("LIFESTAGE_HOME", str(tmp_path / "home"))
    note = tmp_path / "note"

    def make(seconds: float, stubborn: bool = False) -> str:
        return JOB.format(note=str(note), seconds=seconds, stubborn=stubborn)

    def begun(count: int) -> list[list[psutil.Process]]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            lines = note.read_text().splitlines() if note.exists() else []
            if len(lines) >= count:
                return [[process(int(pid)) for pid in line.split()[1:-1]] for line in lines]
            time.sleep(0.02)
        raise AssertionError(f"{count} jobs never began")

    make.begun = begun
    return make


def process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def alive(processes: list) -> list:
    return [p for p in processes if p and is_alive(p)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False


def wait_gone(processes: list, seconds: float) -> float:
    """How long it took."""
    began = time.monotonic()
    while alive(processes):
        assert time.monotonic() - began < seconds, alive(processes)
        time.sleep(0.02)
    return time.monotonic() - began


def start_task(code: str) -> psutil.Process:
    """An attempt in a process of its own, as the supervisor forks it."""

    def run():
        task = JobOperator(task_id="job", arguments=[code])
        signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
        task.execute({})

    return forked(run)


def forked(run: Callable[[], object]) -> psutil.Process:
    """A child that does this and ends, 1 if it raises."""
    if pid := os.fork():
        return psutil.Process(pid)
    code = 1
    try:
        run()
        code = 0
    finally:
        os._exit(code)


def keeper_of(family: list[psutil.Process]) -> psutil.Process:
    return family[0].parent()


@pytest.fixture
def retry(monkeypatch):
    """``retry(code)``: a second attempt in this process, in a thread; its thread and what it raised."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)

    def go(code: str, context: dict | None = None) -> tuple[threading.Thread, list, JobOperator]:
        op, errors = JobOperator(task_id="job", arguments=[code]), []

        def run():
            try:
                op.execute(context or {})
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread, errors, op

    return go


@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "ignores SIGTERM"])
def test_sigkill_to_the_task_ends_all_that_the_job_started(job, stubborn):
    task = start_task(job(300, stubborn))
    (family,) = job.begun(1)
    keeper = keeper_of(family)
    task.kill()
    task.wait()
    wait_gone([*family, keeper], 10)


def test_sigkill_to_the_supervisor_ends_the_job(job, tmp_path):
    """The parent of the task process dies: the kernel tells the task, which ends its job."""
    supervisor = forked(lambda: start_task(job(300)).wait())
    (family,) = job.begun(1)
    keeper = keeper_of(family)
    task = keeper.parent()
    supervisor.kill()
    supervisor.wait()
    wait_gone([*family, keeper, task], 10)


def test_a_retry_ends_its_predecessor_and_never_runs_beside_it(job, retry):
    """The first is stopped, task process and job, so that nothing of it ends by itself."""
    code = job(300)
    first = start_task(code)
    (family,) = job.begun(1)
    for each in (first, *family):
        each.suspend()
    try:
        thread, errors, _ = retry(code)
        _, second = job.begun(2)
        # What ran first is gone by the time the second begins.
        assert alive(family) == []
        thread.join(timeout=20)
        assert errors == []
        assert alive([p for p in second if p]) == []
    finally:
        first.kill()
        first.wait()


def test_a_retry_kills_what_a_killed_keeper_left_behind(job, retry):
    code = job(300)
    task = start_task(code)
    (family,) = job.begun(1)
    keeper_of(family).kill()
    task.wait(timeout=20)
    wait_gone(family[:1], 5)  # the job itself; its children are left
    assert len(alive(family[1:])) == 2
    thread, errors, _ = retry(code)
    _, second = job.begun(2)
    assert alive(family) == []
    thread.join(timeout=20)
    assert errors == []
    assert alive(second) == []


APART = """
import os, signal, subprocess, sys, time
def apart():
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], preexec_fn=apart)
open({note!r}, "w").write(f"begun {{os.getpid()}} {{child.pid}} 0\\n")
time.sleep(300)
"""


def test_what_makes_a_group_of_its_own_ends_with_its_job(job, tmp_path):
    """As Spark's Python workers do."""
    task = start_task(APART.format(note=str(tmp_path / "note")))
    (family,) = job.begun(1)
    task.kill()
    task.wait()
    wait_gone([keeper_of(family)], 10)
    assert alive(family) == []


def test_a_keeper_that_cannot_tell_whom_it_keeps_leaves_nothing_behind(job, tmp_path):
    """On a full disk its record cannot be written, from which a retry would learn what to end."""
    command = [os.environ["LIFESTAGE_PYTHON"], "-m", job(300)]

    def full(*_):
        job.begun(1)
        raise OSError(errno.ENOSPC, "no space left")

    def run():
        keeper.os.pwrite = full
        keeper.run(os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT), str(tmp_path / "lock"), {}, command)

    assert forked(run).wait(timeout=20) == 1
    (family,) = job.begun(1)
    assert alive(family) == []


AT_ONCE = """
import os, subprocess, sys
from lifestage_airflow import keeper

class Ended(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

keeper.subprocess.Popen = Ended
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
sys.exit(os.waitstatus_to_exitcode(keeper.run(lock, sys.argv[1], {}, ["sh", "-c", "exit 65"])))
"""


def test_a_job_that_has_ended_before_its_keeper_went_on_is_not_waited_for(tmp_path):
    """On a busy machine a job may be done before the keeper's next line: its status is the keeper's alone to take."""
    paths = {"PYTHONPATH": str(Path(keeper.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", AT_ONCE, tmp_path / "lock"], env=os.environ | paths, timeout=20)
    assert run.returncode == 65


def test_another_runs_same_work_is_waited_for_and_not_ended(job, retry):
    class Ti:
        dag_id, run_id, task_id, map_index = "lifestage_daily", "another run", "job", -1

    code = job(2)
    first = start_task(code)
    (family,) = job.begun(1)
    began = time.monotonic()
    thread, errors, _ = retry(code, {"ti": Ti})
    time.sleep(0.5)
    assert len(alive(family)) == 3
    job.begun(2)
    assert time.monotonic() - began > 1
    assert first.wait(timeout=20) == 0
    thread.join(timeout=20)
    assert errors == []


def test_a_lock_of_another_machine_is_waited_for_until_the_task_is_asked_to_end(job, retry, tmp_path):
    import fcntl

    code = job(0.1)
    path = lock_file(tmp_path / "home", [code])
    path.parent.mkdir(parents=True)
    ours = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = {"task": "job", "machine": "another", "keeper": [ours.pid, "1"], "job": [ours.pid, "1"]}
        file.write(json.dumps(holder))
        file.flush()
        thread, errors, op = retry(code)
        time.sleep(0.6)
        assert thread.is_alive()
        assert ours.poll() is None  # a process of that id is none of the holder's here
        op.on_kill()
        thread.join(timeout=5)
    ours.kill()
    assert "asked to end before its job had begun" in str(errors[0])


def test_many_attempts_at_once_run_one_after_another(job, retry, tmp_path):
    note = tmp_path / "turns"
    code = (
        "import os, time\n"
        f"with open({str(note)!r}, 'a', buffering=1) as file:\n"
        "    file.write('in\\n'); time.sleep(0.15); file.write('out\\n')"
    )

    class Ti:
        dag_id, task_id, map_index = "lifestage_daily", "job", -1

    attempts = []
    for n in range(4):
        ti = type("Ti", (Ti,), {"run_id": str(n)})
        attempts.append(retry(code, {"ti": ti}))
    for thread, errors, _ in attempts:
        thread.join(timeout=30)
        assert errors == []
    assert note.read_text().split() == ["in", "out"] * 4
    # Nothing is left lying about.
    assert list((tmp_path / "home" / "run" / "tasks").iterdir()) == []


def test_a_home_that_cannot_be_written_to_is_a_setting(retry, interpreter, tmp_path, monkeypatch):
    interpreter("pass")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIFESTAGE_HOME", str(tmp_path / "file"))
    thread, errors, _ = retry("pass")
    thread.join(timeout=10)
    assert "Set LIFESTAGE_HOME" in str(errors[0])
    assert errors[0].exit_code == 78


def test_a_job_that_outlives_the_question_fails_its_task(job, retry):
    """Asked to end, it ends well: the task was not done all the same."""
    code = (
        "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
        "open(sys.argv[0] + '.up', 'w')\ntime.sleep(60)"
    )
    thread, errors, op = retry(code)
    up = Path(os.environ["LIFESTAGE_PYTHON"] + ".py.up")
    while not up.exists():
        time.sleep(0.02)
    op.on_kill()
    thread.join(timeout=10)
    # A machine too busy to let the job end within its grace has it killed, which fails the task as well.
    assert errors[0].exit_code in (-signal.SIGTERM, -signal.SIGKILL)


def test_a_holder_is_read_however_long_its_name(tmp_path):
    holder = {"task": "job" * 5_000, "machine": "another"}
    (tmp_path / "lock").write_text(json.dumps(holder))
    with (tmp_path / "lock").open("rb") as lock:
        assert fence._read(lock.fileno()) == holder


def test_a_machine_is_one_boot_and_one_set_of_process_ids():
    assert machine() == machine()
    assert os.readlink("/proc/self/ns/pid") in machine()
