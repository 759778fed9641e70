"""A task that fails for good sends one mail to whoever is named; a broken mail server hides nothing."""

import socket
import threading
from types import SimpleNamespace

import pytest
from lifestage_airflow.alerts import alert_on_failure

CONTEXT = {
    "run_id": "scheduled__2017-12-30",
    "exception": RuntimeError("the data is wrong (exit 65): sales.csv <cut short>"),
    "ti": SimpleNamespace(dag_id="lifestage_daily", task_id="ingest", try_number=1, log_url="http://airflow/log"),
}


def serve_one_mail(server: socket.socket, received: list[str]) -> None:
    """As much of SMTP as a client without log-in needs."""
    try:
        connection, _ = server.accept()
    except OSError:  # nobody wrote, and the test is over
        return
    with connection, connection.makefile("rw", newline="\r\n") as talk:
        talk.write("220 test\n")
        talk.flush()
        while line := talk.readline():
            word = line[:4].upper().strip()
            if word == "DATA":
                talk.write("354 go on\n")
                talk.flush()
                while (text := talk.readline().replace("\r\n", "\n")) not in (".\n", ""):
                    received.append(text)
            talk.write("221 bye\n" if word == "QUIT" else "250 ok\n")
            talk.flush()
            if word == "QUIT":
                return


@pytest.fixture
def mailbox(monkeypatch):
    received: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        options = "disable_ssl=true&disable_tls=true&from_email=lifestage%40shop.example&retry_limit=1"
        port = server.getsockname()[1]
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", f"smtp://127.0.0.1:{port}/?{options}")
        thread = threading.Thread(target=serve_one_mail, args=(server, received), daemon=True)
        thread.start()
        yield received


def test_a_failure_is_mailed_with_task_cause_and_log(metadata, mailbox, monkeypatch):
    monkeypatch.setenv("LIFESTAGE_ALERT_EMAIL", "night@shop.example")
    alert_on_failure(CONTEXT)
    mail = "".join(mailbox)
    assert "To: night@shop.example" in mail
    assert "Subject: Lifestage: lifestage_daily.ingest failed (scheduled__2017-12-30)" in mail.replace("\n ", " ")
    text = decoded(mail)
    assert "sales.csv &lt;cut short&gt;" in text
    assert "http://airflow/log" in text


def decoded(mail: str) -> str:
    from email import message_from_string

    parts = [p for p in message_from_string(mail).walk() if not p.is_multipart()]
    return b"".join(p.get_payload(decode=True) for p in parts).decode()


def test_nobody_named_means_no_mail(monkeypatch, mailbox):
    monkeypatch.delenv("LIFESTAGE_ALERT_EMAIL", raising=False)
    alert_on_failure(CONTEXT)
    assert mailbox == []


def test_a_mail_server_that_does_not_answer_is_logged(monkeypatch, caplog):
    monkeypatch.setenv("LIFESTAGE_ALERT_EMAIL", "night@shop.example")
    monkeypatch.setenv(
        "AIRFLOW_CONN_SMTP_DEFAULT", "smtp://127.0.0.1:1/?disable_ssl=true&from_email=a%40b.example&retry_limit=1"
    )
    alert_on_failure(CONTEXT)
    assert "check Airflow's connection smtp_default" in caplog.text
