"""One alert for every task that fails for good: an e-mail, where $LIFESTAGE_ALERT_EMAIL names who is woken."""

import html
import logging
import os

from airflow.sdk import Context

log = logging.getLogger(__name__)


def alert_on_failure(context: Context) -> None:
    """Sends task, day, cause and the log's address by Airflow's connection ``smtp_default``.

    A mail server that does not answer is logged: the failed task stays the one thing to mend.
    """
    to = os.environ.get("LIFESTAGE_ALERT_EMAIL")
    if not to:
        return
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    ti = context["ti"]
    subject = f"Lifestage: {ti.dag_id}.{ti.task_id} failed ({context['run_id']})"
    cause = html.escape(str(context.get("exception") or "the log says why"))
    body = f"<pre>{cause}</pre><p>Run {context['run_id']}, try {ti.try_number}. Log: {html.escape(str(ti.log_url))}</p>"
    try:
        SmtpNotifier(to=to, subject=subject, html_content=body).notify(context)
    except Exception:  # whatever a mail server does, the task's own failure is what must be seen
        log.exception("the alert to %s could not be sent: check Airflow's connection smtp_default", to)
