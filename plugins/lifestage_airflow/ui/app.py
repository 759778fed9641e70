"""The web application under ``/lifestage``: segments of a day, what its checks found, what of its files was refused.

Airflow asks nobody for a log-in on behalf of a plugin's application, so that this one does: every path of it needs a
user who may see Airflow's own pages. It answers in HTML without scripts, in Airflow's frame and on its own.
"""

from contextlib import suppress
from datetime import date
from html import escape
from pathlib import Path
from urllib.parse import urlencode

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
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


def refusal(words: str, status: int) -> HTMLResponse:
    return answer("Lifestage", f"<h1>Lifestage</h1><p class='empty'>{words}</p>", status)


@app.exception_handler(NotThere)
def say_what_is_missing(_: Request, error: NotThere) -> HTMLResponse:
    return refusal(escape(str(error)), error.status)


@app.exception_handler(RequestValidationError)
def say_that_no_day_is_named(_: Request, error: RequestValidationError) -> HTMLResponse:
    return refusal("The address names no day, such as 2017-12-30.", 404)


@app.exception_handler(HTTPException)
def say_who_may(request: Request, error: HTTPException) -> HTMLResponse:
    """A person who followed a link is led to Airflow's log-in and back."""
    here = request.scope.get("root_path", "").removesuffix("/lifestage")
    login = f"{here}/api/v2/auth/login?{urlencode({'next': str(request.url)})}"
    words = {
        401: f"This page is for those who are <a target='_top' href='{escape(login)}'>logged in to Airflow</a>.",
        403: "Your role in Airflow may not see its pages: ask an administrator of Airflow.",
    }
    return refusal(words.get(error.status_code, escape(str(error.detail))), error.status_code)


@app.get("/segments")
def show_segments(ds: date | None = None) -> HTMLResponse:
    """Sizes and flows of a published day, the newest if none is named."""
    return answer("Segments", segments.page(marts(), ds, home_folder()))


@app.get("/checks/{table}/{days}")
def show_checks(table: str, days: str) -> HTMLResponse:
    """What the gate found on a table and day; ``days``: D, or D_E for a range."""
    return answer(f"Checks of {table}", checks.page(home_folder(), table, days))


@app.get("/quarantine/{day}")
def show_quarantine(day: date) -> HTMLResponse:
    """What became of the rows of each file of a day."""
    return answer("Quarantine", checks.quarantine(home_folder(), day))


@app.get("/docs/{path:path}")
def show_data_docs(path: str) -> FileResponse:
    """Great Expectations' Data Docs, as they were last built."""
    site = (home_folder() / SITE).resolve()
    with suppress(OSError, ValueError):  # of a name that is too long, or holds a null character
        file = (site / (path or "index.html")).resolve()
        if file.is_relative_to(site) and file.is_file():
            return FileResponse(file, headers=HEADERS)
    raise NotThere("There is no such page; `python -m jobs validate --docs` builds them.", 404)
