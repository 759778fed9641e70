"""Who is told when something needs a person: one setting, and one notifier for every kind of alert.

$LIFESTAGE_ALERTS names where alerts go, separated by spaces: ``mailto:team@shop.example`` (by Airflow's connection
``smtp_default``), ``https://…`` (a webhook: POST of one JSON object, whose ``text`` chats show), ``file:///…`` (one
JSON object a line, for a log shipper). $LIFESTAGE_ALERT_EMAIL is a short form for one ``mailto:``. Without either
nothing is sent.
"""

import asyncio
import html
import json
import logging
import os
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow.sdk import BaseNotifier, Context

log = logging.getLogger(__name__)

SCHEMES = ("mailto", "https", "http", "file")
WEBHOOK_TIMEOUT_S = 10


def targets() -> list[str]:
    """Where alerts go, as URIs. ValueError, which Airflow shows as the DAG's import error, for what is none."""
    named = os.environ.get("LIFESTAGE_ALERTS", "").split()
    for number, target in enumerate(named, 1):
        if target.partition(":")[0] not in SCHEMES:  # not shown: a webhook's address is a secret
            raise ValueError(f"target {number} of LIFESTAGE_ALERTS is none of {', '.join(f'{s}:' for s in SCHEMES)}")
    mail = os.environ.get("LIFESTAGE_ALERT_EMAIL")
    return [*named, *([f"mailto:{mail}"] if mail else [])]


class AlertNotifier(BaseNotifier):
    """Tells every target once. One that does not answer is logged: what is told of stays the one thing to mend.

    :param kind: ``failed`` (a task, for good), ``late`` (a run missed its deadline), ``warned`` (checks of a day).
    :param cause: what happened, in words; by default the task's exception.
    """

    def __init__(self, kind: str, cause: str = "", context: Context | None = None) -> None:
        super().__init__(context=context)
        self.kind, self.cause = kind, cause

    def notify(self, context: Context) -> None:
        """Sends, and waits until all is sent."""
        told = self.facts(context)
        for target in targets():
            try:
                if target.startswith("mailto:"):
                    _mail(target, told).notify(context)
                else:
                    _post(target, told)
            except Exception as error:  # whatever a server does, it must not hide what is told of
                _not_sent(target, error)

    async def async_notify(self, context: Context) -> None:
        """As ``notify``, for the triggerer, where other triggers must not wait."""
        told = self.facts(context)
        for target in targets():
            try:
                if target.startswith("mailto:"):
                    await _mail(target, told).async_notify(context)
                else:
                    await asyncio.to_thread(_post, target, told)
            except Exception as error:
                _not_sent(target, error)

    def facts(self, context: Context) -> dict[str, str]:
        """What is told: kind, subject, cause, DAG, run, and the task with its log where there is one."""
        ti, run = context.get("ti"), context.get("dag_run")
        dag_id, run_id = (ti.dag_id, context["run_id"]) if ti else (run["dag_id"], run["dag_run_id"])
        what = f"{dag_id}.{ti.task_id}" if ti else dag_id
        facts = {
            "kind": self.kind,
            "subject": f"Lifestage: {what} {self.kind} ({run_id})",
            "cause": self.cause or str(context.get("exception") or "the log says why"),
            "dag_id": dag_id,
            "run_id": run_id,
        }
        return facts | ({"task_id": ti.task_id, "try": str(ti.try_number), "log": str(ti.log_url)} if ti else {})


def _not_sent(target: str, error: Exception) -> None:
    scheme = target.partition(":")[0]
    hint = ": check Airflow's connection smtp_default" if scheme == "mailto" else ""
    # An address may hold a webhook's key, and so may an error of what opens it.
    said = str(error) if scheme in ("mailto", "file") else type(error).__name__
    log.error("the alert to a %s: target could not be sent (%s)%s", scheme, said, hint)


def _mail(target: str, told: dict[str, str]) -> Any:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return SmtpNotifier(to=target.removeprefix("mailto:"), subject=told["subject"], html_content=_page(told))


def _page(told: dict[str, str]) -> str:
    rest = [f"{name}: {told[name]}" for name in ("run_id", "try", "log") if name in told]
    return f"<pre>{html.escape(told['cause'])}</pre>" + "".join(f"<p>{html.escape(line)}</p>" for line in rest)


def _post(target: str, told: dict[str, str]) -> None:
    if target.startswith("file:"):
        with Path(urllib.parse.unquote(urllib.parse.urlsplit(target).path)).open("a") as file:
            file.write(json.dumps(told) + "\n")
        return
    body = told | {"text": "\n".join([told["subject"], told["cause"], *_log_line(told)])}
    request = urllib.request.Request(target, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=WEBHOOK_TIMEOUT_S):
        pass


def _log_line(told: dict[str, str]) -> Iterable[str]:
    return [told["log"]] if "log" in told else []
