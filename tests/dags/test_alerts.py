"""Whoever is named is told once, by real servers of the test's own; one that is broken hides nothing."""

import asyncio
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from lifestage_airflow.alerts import AlertNotifier, targets

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
    AlertNotifier("failed")(CONTEXT)
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
    AlertNotifier("failed")(CONTEXT)
    assert mailbox == []


def test_a_mail_server_that_does_not_answer_is_logged_and_hides_nothing(monkeypatch, tmp_path, caplog):
    """And those who can be told are told."""
    monkeypatch.setenv("LIFESTAGE_ALERTS", f"mailto:night@shop.example {(tmp_path / 'a b').as_uri()}")
    monkeypatch.setenv(
        "AIRFLOW_CONN_SMTP_DEFAULT", "smtp://127.0.0.1:1/?disable_ssl=true&from_email=a%40b.example&retry_limit=1"
    )
    AlertNotifier("failed")(CONTEXT)
    assert "check Airflow's connection smtp_default" in caplog.text
    (told,) = map(json.loads, (tmp_path / "a b").read_text().splitlines())
    assert (told["kind"], told["task_id"], told["try"]) == ("failed", "ingest", "1")


class Webhook(BaseHTTPRequestHandler):
    """Takes what is posted; its path is a secret, as those of chats are."""

    def do_POST(self):
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200 if self.path == "/hook/key" else 403)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def webhook():
    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        server.received = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_webhook_gets_text_for_a_chat_and_facts_for_a_program(webhook, monkeypatch, caplog):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    address = f"http://127.0.0.1:{webhook.server_port}/hook"
    monkeypatch.setenv("LIFESTAGE_ALERTS", f"{address}/key {address}/wrong-key")
    AlertNotifier("warned", "1 check(s) warned on 2017-12-30: events mix_warn")(CONTEXT)
    told = webhook.received[0]
    assert told["kind"] == "warned"
    assert told["text"].splitlines() == [
        "Lifestage: lifestage_daily.ingest warned (scheduled__2017-12-30)",
        "1 check(s) warned on 2017-12-30: events mix_warn",
        "http://airflow/log",
    ]
    # One that refuses is logged without its address, which holds the key.
    assert "a http: target could not be sent (HTTPError)" in caplog.text
    assert "wrong-key" not in caplog.text


def test_a_wrong_target_is_an_import_error_that_does_not_show_it(monkeypatch):
    monkeypatch.setenv("LIFESTAGE_ALERTS", "mailto:a@b.example hooks.example/secret")
    with pytest.raises(ValueError, match="target 2 of LIFESTAGE_ALERTS is none of mailto:, https:") as caught:
        targets()
    assert "secret" not in str(caught.value)


LATE = {"dag_run": {"dag_id": "lifestage_daily", "dag_run_id": "scheduled__2017-12-31"}, "deadline": {"id": "1"}}


def test_a_late_publish_is_told_from_the_triggerer(metadata, mailbox, tmp_path, monkeypatch):
    """As the trigger calls it: the class with the callback's arguments and the run's facts, awaited."""
    monkeypatch.setenv("LIFESTAGE_ALERTS", f"{(tmp_path / 'alerts').as_uri()} mailto:night@shop.example")

    async def trigger() -> None:
        await AlertNotifier(kind="late", cause="not there after 6:00:00", context=LATE)

    asyncio.run(trigger())
    told = json.loads((tmp_path / "alerts").read_text())
    assert told["subject"] == "Lifestage: lifestage_daily late (scheduled__2017-12-31)"
    assert "not there after 6:00:00" in decoded("".join(mailbox))
