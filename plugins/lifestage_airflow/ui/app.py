"""The web application under ``/lifestage``: segments of a day, what its checks found, what of its files was refused.

Airflow asks nobody for a log-in on behalf of a plugin's application, so that this one does: every path of it needs a
user who may see Airflow's own pages. It answers in HTML without scripts, in Airflow's frame and on its own.
"""

from contextlib import suppress
from datetime import date
from pathlib import Path

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse

from lifestage_airflow.job_process import home_folder
from lifestage_airflow.ui import checks, segments
from lifestage_airflow.ui.html import NotThere, document
from lifestage_airflow.ui.warehouse import marts

SITE = Path("validations", "gx", "uncommitted", "data_docs", "local_site")
HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
}

app = FastAPI(
    title="Lifestage",
    dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)


def answer(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(document(title, body), status, HEADERS)


def missing(what: str, words: str, status: int) -> HTMLResponse:
    return answer(what, f"<h1>{what}</h1><p class='empty'>{words}</p>", status)


@app.get("/segments")
def show_segments(ds: date | None = None) -> HTMLResponse:
    """Sizes and flows of a published day, the newest if none is named."""
    try:
        return answer("Segments", segments.page(marts(), ds))
    except NotThere as error:
        return missing("Segments", str(error), error.status)


@app.get("/checks/{table}/{days}")
def show_checks(table: str, days: str) -> HTMLResponse:
    """What the gate found on a table and day; ``days``: D, or D_E for a range."""
    try:
        return answer(f"Checks of {table}", checks.page(home_folder(), table, days))
    except NotThere as error:
        return missing("Checks", str(error), error.status)


@app.get("/quarantine/{day}")
def show_quarantine(day: date) -> HTMLResponse:
    """What became of the rows of each file of a day."""
    try:
        return answer("Quarantine", checks.quarantine(home_folder(), day))
    except NotThere as error:
        return missing("Quarantine", str(error), error.status)


@app.get("/docs/{path:path}")
def show_data_docs(path: str) -> FileResponse:
    """Great Expectations' Data Docs, as they were last built."""
    site = (home_folder() / SITE).resolve()
    with suppress(OSError, ValueError):  # of a name that is too long, or holds a null character
        file = (site / (path or "index.html")).resolve()
        if file.is_relative_to(site) and file.is_file():
            return FileResponse(file, headers=HEADERS)
    raise HTTPException(404, "there is no such page; `python -m jobs validate --docs` builds them")
