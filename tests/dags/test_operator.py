"""The operator against real processes: exit codes, streaming, and the end of everything a job started."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import psutil
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from lifestage_airflow import operators
from lifestage_airflow.dag import lifestage_dag
from lifestage_airflow.operators import JobOperator

RUN_CODE = "import sys; exec(sys.argv[2])"
"""Takes the 'module' for the program itself, so that a test says on the spot what its job does."""


def operator(code: str, **kwargs) -> JobOperator:
    return JobOperator(task_id="job", arguments=[code], **kwargs)


@pytest.fixture
def execute(interpreter, monkeypatch):
    """``execute(operator)`` outside a DAG run, which Airflow's own safeguard forbids otherwise."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    interpreter(RUN_CODE)
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    return lambda op: op.execute({})


@pytest.mark.parametrize("code", [65, 78])
def test_no_retry_where_another_try_cannot_help(execute, code):
    with pytest.raises(AirflowFailException, match=rf"\(exit {code}\): orders.csv lacks column price") as caught:
        execute(operator(f"print('orders.csv lacks column price', file=sys.stderr); sys.exit({code})"))
    assert caught.value.exit_code == code


TELLS = """
import sys
print("12:00:01  ingest of 2 files\\ningest: an earlier line\\nof the log", file=sys.stderr)
print("ingest: 2 files are wrong:\\n  a.csv lacks column price\\n\\n  b.csv is cut short\\n", file=sys.stderr)
sys.exit(65)
"""


def test_the_cause_is_the_whole_of_what_the_job_tells(interpreter, execute):
    def cause(code):
        interpreter(code)
        with pytest.raises(AirflowFailException) as caught:
            execute(JobOperator(task_id="job", arguments=["jobs", "ingest"]))
        return str(caught.value)

    told = "ingest: 2 files are wrong:\n  a.csv lacks column price\n\n  b.csv is cut short"
    assert cause(TELLS) == f"the data is wrong (exit 65): {told}"
    many = cause(TELLS.replace("is cut short", "is" + "\\n  one more" * 90)).splitlines()
    assert (len(many), many[0][-25:]) == (15, "ingest: 2 files are wrong:"[-25:])


@pytest.mark.parametrize("code", [1, 75, 70])
def test_other_failures_may_be_retried(execute, code):
    with pytest.raises(AirflowException, match=rf"exit {code}") as caught:
        execute(operator(f"sys.exit({code})"))
    assert not isinstance(caught.value, AirflowFailException)
    assert caught.value.exit_code == code


def test_a_killed_job_may_be_retried(execute):
    with pytest.raises(AirflowException, match="signal SIGKILL"):
        execute(operator("import os; os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize("cleans", [True, False])
def test_the_address_of_airflows_metadata_reaches_its_clean_up_alone(execute, monkeypatch, cleans):
    monkeypatch.setenv("LIFESTAGE_AIRFLOW_DB", "postgresql://airflow:hush@postgres/airflow")
    code = "import os; print('LIFESTAGE_AIRFLOW_DB' in os.environ)"
    assert execute(operator(code, push_last_line=True, cleans_airflow=cleans)) == str(cleans)


def test_a_missing_interpreter_is_a_setting(execute, monkeypatch):
    monkeypatch.setenv("LIFESTAGE_PYTHON", "/nowhere/python")
    with pytest.raises(AirflowFailException, match="LIFESTAGE_PYTHON"):
        execute(operator("pass"))


@pytest.mark.parametrize(("number", "is_refused"), [(errno.EROFS, True), (errno.ENOSPC, False), (errno.ESTALE, False)])
def test_a_home_that_is_full_or_away_is_tried_again(execute, monkeypatch, number, is_refused):
    def lock(path, *_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(operators, "only_attempt", lock)
    with pytest.raises(AirflowException) as caught:
        execute(operator("pass"))
    assert isinstance(caught.value, AirflowFailException) == is_refused
    assert caught.value.exit_code == (78 if is_refused else 75)


def test_an_argument_that_renders_to_nothing_is_refused(execute):
    op = JobOperator(task_id="job", arguments=["jobs", "score", "--model", " "])
    with pytest.raises(AirflowFailException, match="rendered to nothing"):
        execute(op)


def test_only_the_last_line_of_standard_output_is_pushed(execute):
    code = "print('first'); print('name/7'); print('noise', file=sys.stderr)"
    assert execute(operator(code, push_last_line=True)) == "name/7"
    assert execute(operator(code)) is None


def test_a_job_sees_nothing_of_airflows_settings(execute):
    code = "import os; print([k for k in os.environ if 'AIRFLOW' in k or k == 'PYTHONPATH'], os.getcwd())"
    seen = execute(operator(code, push_last_line=True))
    # Its database's password, for one, is none of a job's business.
    assert seen.startswith("[] ")
    assert os.path.exists(os.path.join(seen[3:], "jobs", "__main__.py"))


def test_lines_arrive_while_the_job_runs(execute, monkeypatch):
    arrived = []
    code = "import time\nfor n in range(3):\n  print(n)\n  time.sleep(0.4)\nprint('x' * 200_000)\nprint('end', end='')"
    op = operator(code, push_last_line=True)
    monkeypatch.setattr(type(op), "log", _Listener(arrived))
    assert execute(op) == "end"
    lines = dict(reversed([(line, at) for line, at in arrived]))
    assert lines["2"] - lines["0"] > 0.6
    assert max(map(len, lines)) == 200_000


class _Listener:
    def __init__(self, arrived):
        self._arrived = arrived

    def info(self, text, *args):
        self._arrived.append((text % args, time.monotonic()))


FAMILY = """
import os, signal, subprocess, sys, time
{stubborn}
child = subprocess.Popen([sys.executable, "-c", '''
import subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(grandchild.pid, flush=True)
time.sleep(300)
'''])
open({note!r}, "w").write(str(child.pid))
{end}
"""


def family(tmp_path, stubborn=False, end="time.sleep(300)"):
    note = tmp_path / "child"
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else ""
    return note, FAMILY.format(note=str(note), stubborn=ignore, end=end)


def descendants(note) -> list[psutil.Process]:
    """Job, child and grandchild, once all three run."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if note.exists() and note.read_text():
            child = psutil.Process(int(note.read_text()))
            if grandchildren := child.children():
                return [child.parent(), child, *grandchildren]
        time.sleep(0.05)
    raise AssertionError("the job's grandchild never started")


def alive(processes) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "ignores SIGTERM"])
def test_a_kill_ends_the_job_and_all_it_started(execute, tmp_path, stubborn):
    note, code = family(tmp_path, stubborn)
    op, errors = operator(code), []
    thread = threading.Thread(target=lambda: errors.append(_raised(execute, op)))
    thread.start()
    processes = descendants(note)
    began = time.monotonic()
    op.on_kill()
    thread.join(timeout=10)
    # Airflow kills the task itself 5 s after it asked it to end; by then nothing may be left.
    assert time.monotonic() - began < 5
    assert alive(processes) == []
    assert isinstance(errors[0], AirflowException)


def _raised(execute, op):
    try:
        execute(op)
    except Exception as error:
        return error


def test_a_child_that_outlives_its_job_is_ended_and_does_not_hold_the_task(execute, tmp_path):
    note, code = family(tmp_path, end="time.sleep(2)")
    began = time.monotonic()
    execute(operator(code))
    child = int(note.read_text())
    assert time.monotonic() - began < 15
    assert not psutil.pid_exists(child) or alive([psutil.Process(child)]) == []


def small_dag(dag_id: str, *tasks) -> DAG:
    with lifestage_dag(dag_id, "A DAG of this test.", tags=["test"], params={}) as dag:
        for task_id, kwargs in tasks:
            JobOperator(task_id=task_id, **kwargs)
    return dag


def states(run) -> dict:
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


@pytest.fixture
def run_code(run_dag, interpreter):
    """``run_dag`` whose jobs run the code that is their argument."""
    interpreter(RUN_CODE)
    return run_dag


def test_bad_data_fails_at_once_and_a_hiccup_is_tried_again(run_code, tmp_path):
    """Through Airflow: exit 65 ends the task at its first try; exit 75 is tried again and succeeds."""
    count = tmp_path / "tries"
    hiccup = f"open({str(count)!r}, 'a').write('x'); sys.exit(75 if open({str(count)!r}).read() == 'x' else 0)"
    soon = {"retry_delay": timedelta(seconds=0.1), "retry_exponential_backoff": 0}
    run = run_code(
        small_dag(
            "retries",
            ("bad_data", {"arguments": ["sys.exit(65)"], **soon}),
            ("hiccup", {"arguments": [hiccup], **soon}),
        )
    )
    assert states(run) == {"bad_data": "failed", "hiccup": "success"}
    assert {ti.task_id: ti.try_number for ti in run.get_task_instances()} == {"bad_data": 1, "hiccup": 2}


def test_a_template_that_names_nothing_fails_the_task(run_code):
    run = run_code(small_dag("strict", ("typo", {"arguments": ["pass", "{{ params.no_such_thing }}"], "retries": 0})))
    assert states(run) == {"typo": "failed"}


def test_the_time_limit_ends_the_job(run_code, tmp_path):
    note, code = family(tmp_path)
    limit = {"execution_timeout": timedelta(seconds=4), "retries": 0}
    run = run_code(small_dag("limit", ("endless", {"arguments": [code], **limit})))
    assert states(run) == {"endless": "failed"}
    child = int(note.read_text())
    assert not psutil.pid_exists(child) or alive([psutil.Process(child)]) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked to end", "killed"])
def test_a_job_ends_with_the_task_process(tmp_path, interpreter, number):
    """SIGTERM, as Airflow's supervisor sends it, ends all; after SIGKILL, as for want of memory, the job ends too."""
    note, code = family(tmp_path)
    program = f"""
import signal, sys
from airflow.sdk.bases.operator import ExecutorSafeguard
from lifestage_airflow.operators import JobOperator
ExecutorSafeguard.test_mode = True
op = JobOperator(task_id="job", arguments=[{code!r}])
signal.signal(signal.SIGTERM, lambda *_: op.on_kill())
op.execute({{}})
"""
    interpreter(RUN_CODE)
    plugins = os.path.join(os.path.dirname(__file__), "..", "..", "plugins")
    environment = os.environ | {"PYTHONPATH": plugins}
    task = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)
    processes = descendants(note)
    task.send_signal(number)
    task.wait(timeout=10)
    bound = processes if number == signal.SIGTERM else processes[:1]
    psutil.wait_procs(bound, timeout=5)
    assert alive(bound) == []
    for process in alive(processes):
        process.kill()
