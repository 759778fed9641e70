"""Pages within Airflow's UI, for those who are logged in to it. Loaded when asked for: every task loads plugins."""

from collections.abc import Awaitable, Callable


async def application(scope: dict, receive: Callable[[], Awaitable], send: Callable[[dict], Awaitable]) -> None:
    """The web application of app.py, as ASGI has it."""
    from lifestage_airflow.ui.app import app

    await app(scope, receive, send)


FASTAPI_APP = {"name": "Lifestage", "app": application, "url_prefix": "/lifestage"}
SEGMENTS_VIEW = {
    "name": "Segments",
    "href": "/lifestage/segments",
    "url_route": "lifestage",
    "destination": "nav",
    "nav_top_level": True,
}
