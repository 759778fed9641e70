"""The pages in Airflow's UI, served by Airflow's own application: who gets in, what they see, what they never see."""

import json
import os
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lifestage_airflow.ui import segments, warehouse
from lifestage_airflow.ui.checks import result_file
from lifestage_airflow.ui.html import NotThere
from lifestage_airflow.ui.warehouse import Marts

DAY, BEFORE = date(2017, 12, 30), date(2017, 12, 29)
NOWHERE = Path("none")
"""No home: the warehouse may be elsewhere."""
PATHS = ("segments", "checks/events/2017-12-30", "quarantine/2017-12-30", "docs/", "docs/x.html", "openapi.json")


@pytest.fixture(scope="module")
def client(metadata):
    """Airflow's API server, asked without a network."""
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] = "False"
    return TestClient(create_app("core"), base_url="http://testserver", follow_redirects=False)


@pytest.fixture(scope="module")
def token(client):
    """A log-in of the user who may do the least."""
    return log_in("VIEWER")


def log_in(role: str) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="someone", role=role))


@pytest.fixture
def get(client, token):
    """As a logged-in browser does it: by cookie."""
    return lambda path: client.get(f"/lifestage/{path}", cookies={"_token": token})


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFESTAGE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize("path", PATHS)
def test_nobody_gets_in_without_a_log_in(client, path):
    client.cookies.clear()
    anonymous = client.get(f"/lifestage/{path}")
    assert anonymous.status_code == (404 if path == "openapi.json" else 401)
    assert "Segments" not in anonymous.text
    forged = client.get(f"/lifestage/{path}", headers={"Authorization": "Bearer ey.not.ours"})
    assert forged.status_code in ((404,) if path == "openapi.json" else (401, 403))


def test_a_person_without_a_log_in_is_led_to_it_and_back(client):
    client.cookies.clear()
    anonymous = client.get("/lifestage/segments?ds=2017-12-30")
    (href,) = re.findall("href='([^']+)'", anonymous.text)
    assert href.startswith("/api/v2/auth/login?next=http")
    led = client.get(unescape(href))
    assert led.status_code == 307
    assert "%2Flifestage%2Fsegments%3Fds%3D2017-12-30" in led.headers["location"]


@pytest.mark.parametrize("path", ["segments?ds=yesterday", "quarantine/none", "docs/none.html"])
def test_a_wrong_address_is_answered_by_a_page(get, home, path):
    answer = get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_the_menu_leads_to_the_page(client, token):
    menu = client.get("/api/v2/plugins", headers={"Authorization": f"Bearer {log_in('ADMIN')}"}).json()
    (view,) = [v for plugin in menu["plugins"] for v in plugin["external_views"] if v["name"] == "Segments"]
    assert view["href"] == "/lifestage/segments"


def test_a_missing_connection_and_server_are_told_in_words(get, monkeypatch):
    warehouse.marts.cache_clear()
    monkeypatch.delenv("AIRFLOW_CONN_LIFESTAGE_WAREHOUSE", raising=False)
    answer = get("segments")
    assert answer.status_code == 503
    assert "Airflow has no connection lifestage_warehouse" in answer.text
    monkeypatch.setenv("AIRFLOW_CONN_LIFESTAGE_WAREHOUSE", "postgresql://bi_reader:s3cr3t@127.0.0.1:1/warehouse")
    answer = get("segments")
    assert answer.status_code == 503
    assert "The warehouse does not answer" in answer.text
    assert "s3cr3t" not in answer.text
    assert "127.0.0.1" not in answer.text


def test_nothing_comes_from_elsewhere(get, home):
    answer = get("quarantine/2017-12-30")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text


OUTCOMES = [
    {"name": "key_unique", "severity": "fail", "passed": True, "observed": "as expected", "expected": "one row per key",
     "why": "<b>", "unexpected_count": None},
    {"name": "few_rows", "severity": "fail", "passed": False, "observed": "3", "expected": "at least 40", "why": "w",
     "unexpected_count": 1},
]  # fmt: skip


def test_checks_of_a_day_the_broken_first(get, home):
    folder = home / "validations" / "events"
    folder.mkdir(parents=True)
    kept = {"table": "events", "day": str(DAY), "last": str(DAY), "rows": 3, "passed": False, "outcomes": OUTCOMES}
    (folder / f"{DAY}.json").write_text(json.dumps(kept))
    text = get(f"checks/events/{DAY}").text
    assert text.index("few_rows") < text.index("key_unique")
    assert "The gate stopped the day." in text
    assert "&lt;b&gt;" in text
    assert get("checks/events/2017-12-31").status_code == 404


def test_checks_lead_to_great_expectations_page_of_the_same_gate(get, home):
    """The lake's of one day: not the warehouse's audit of it, nor a range that begins on it."""
    kept = {"table": "events", "day": str(DAY), "last": str(DAY), "rows": 3, "passed": True, "outcomes": OUTCOMES}
    (home / "validations" / "events").mkdir(parents=True)
    (home / "validations" / "events" / f"{DAY}.json").write_text(json.dumps(kept))
    site = home / "validations" / "gx" / "uncommitted" / "data_docs" / "local_site"
    for name in (f"{DAY}", f"{DAY}-warehouse", f"{DAY}_2017-12-31"):
        page = site / "validations" / "events" / name / "20171230T000000.000000Z" / "page.html"
        page.parent.mkdir(parents=True)
        page.write_text(name)
    (href,) = re.findall("href='../../([^']+)'", get(f"checks/events/{DAY}").text)
    assert get(href).text == str(DAY)


@pytest.mark.parametrize("path", ["docs/%00", f"docs/{'x' * 300}", f"checks/{'x' * 300}/2017-12-30", "docs/none.html"])
def test_an_address_of_nothing_is_not_found(get, home, path):
    assert get(path).status_code == 404


def test_a_fault_of_ours_is_not_said_to_be_a_missing_page(get, home):
    (home / "validations" / "events").mkdir(parents=True)
    (home / "validations" / "events" / f"{DAY}.json").write_text("{}")
    with pytest.raises(KeyError, match="outcomes"):
        get(f"checks/events/{DAY}")


@pytest.mark.parametrize("path", ["docs/..%2f..%2f..%2f..%2f..%2fshop.json", "docs/{absolute}"])
def test_no_address_leads_out_of_its_folder(get, home, path):
    """Each names the file, if nothing stopped it."""
    file = home / "shop.json"
    file.write_text('{"secret": 1}')
    answer = get(path.format(absolute=quote(str(file), safe="")))
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize(("table", "days"), [("..", "shop"), ("events", "../../shop"), ("..", "2017-12-30")])
def test_no_result_is_looked_for_outside_its_folder(tmp_path, table, days):
    with pytest.raises(NotThere, match="names no table and day"):
        result_file(tmp_path, table, days)


def test_what_became_of_a_days_files(get, home):
    folder = home / "lake" / "ingest_report" / f"arrival_date={DAY}"
    folder.mkdir(parents=True)
    row = {"source_file": "orders.csv", "rows_read": 40, "rows_kept": 38, "rows_dropped": 0, "rows_quarantined": 2}
    row |= {"quarantine_share": 0.05, "reasons": "price: 2", "is_complete": True}
    pq.write_table(pa.Table.from_pylist([row]), folder / "part-0.parquet")
    text = get(f"quarantine/{DAY}").text
    for words in ("orders.csv", "5.00%", "price: 2"):
        assert words in text
    answer = get("quarantine/2017-12-31")
    assert answer.status_code == 404
    assert "was not ingested" in answer.text


# -- segments, of rows as the views give them ----------------------------------------------------------------------


def marts(published: list[date], flows: list[dict], broken: list[dict] = ()):
    """Answers each question of the page from these rows."""
    at = datetime(2017, 12, 31, 3, tzinfo=UTC)
    common = {"published_at": at, "customers": 5, "model_name": "m", "model_version": 7, "checks_passed": 9}
    log = [common | {"snapshot_date": day, "checks_warned": 0} for day in published]
    sizes = {
        "lifecycle_stage": [
            {"name": "new", "customers": 2, "spend": 10},
            {"name": "loyal", "customers": 3, "spend": 90},
        ],
        "value_tier": [{"name": "top", "customers": 1, "spend": 75}, {"name": "low", "customers": 4, "spend": 25}],
    }

    def query(sql: str, *values: object) -> list[dict]:
        if "publish_log" in sql:
            return log
        if "obj_description" in sql:
            return [{"words": "Tables for all. Shop: corner. Sources: till (currency EUR, simulated data)."}]
        if "segment_summary" in sql:
            return sizes["value_tier" if "value_tier as name" in sql else "lifecycle_stage"]
        return list(flows if "stage_transitions" in sql else broken)

    return query


def flow(source: str, target: str, customers: int, is_expected: bool = True) -> dict:
    return {
        "previous_snapshot_date": BEFORE, "from_stage": source, "to_stage": target, "customers": customers,
        "is_expected": is_expected,
    }  # fmt: skip


def test_sizes_and_flows_of_a_day():
    ways = [flow("loyal", "loyal", 2), flow("new", "loyal", 1), flow("unseen", "new", 2, is_expected=False)]
    text = segments.page(marts([DAY, BEFORE], ways), None, NOWHERE)
    assert "Segments of 2017-12-30" in text
    assert "<p class='note'>Shop: corner. Sources: till (currency EUR, simulated data).</p>" in text
    assert "<td>loyal</td><td class='n'>3</td><td class='n'>+1</td>" in text
    assert "<td>top</td><td class='n'>1</td><td class='n'>75</td>" in text
    assert "3 customers moved, 2 stayed" in text
    assert text.count(">not expected<") == 1
    assert "unseen: not known the time before. Not expected: " in text
    assert "gone:" not in text
    assert f"href='?ds={BEFORE}'" in text


def test_days_without_flows_and_days_that_were_never_published():
    first = [{**flow("unseen", "new", 5), "previous_snapshot_date": None}]
    assert "everybody is seen for the first time" in segments.page(marts([DAY], first), None, NOWHERE)
    assert "All 5 customers stand where they stood" in segments.page(
        marts([DAY], [flow("new", "new", 5)]), None, NOWHERE
    )
    with pytest.raises(NotThere, match="the newest day is 2017-12-30"):
        segments.page(marts([DAY], []), BEFORE, NOWHERE)
    with pytest.raises(NotThere, match="Nothing has been published"):
        segments.page(marts([], []), None, NOWHERE)


def test_what_did_not_hold_is_told():
    broken = [{"table_name": "events", "severity": "warn", "words": "few <rows>"}]
    text = segments.page(marts([DAY], [], broken), None, NOWHERE)
    assert "<span class='warn'>warn</span>" in text
    assert "few &lt;rows&gt;" in text


def test_a_day_leads_to_its_checks_and_files(home):
    (home / "validations" / "events").mkdir(parents=True)
    (home / "validations" / "events" / f"{DAY}.json").touch()
    text = segments.page(marts([DAY], []), None, home)
    assert f"<a href='checks/events/{DAY}'>checks of events</a>" in text
    assert "files and quarantine" not in text  # not ingested here


def test_pages_of_a_home_say_that_its_data_are_simulated(get, home):
    test_what_became_of_a_days_files(get, home)
    assert "simulated" not in get(f"quarantine/{DAY}").text
    for is_simulated in (True, False):
        (home / "shop.json").write_text(json.dumps({"shop": "corner", "simulated": is_simulated}))
        text = get(f"quarantine/{DAY}").text
        assert "Shop: corner" in text
        assert ("simulated data" in text) == is_simulated


def test_a_day_ends_at_the_shops_midnight(monkeypatch):
    monkeypatch.setattr(segments, "ZONE", "Pacific/Auckland")
    row = marts([DAY], [])("publish_log")[0]
    # 31 December begins there at 11:00 UTC of the 30th.
    assert "ended 2 hours ago" in segments._tiles(row, row, datetime(2017, 12, 30, 13, tzinfo=UTC))


def test_an_old_day_is_marked_late():
    row = marts([DAY], [])("publish_log")[0]
    end = datetime(2017, 12, 31, tzinfo=UTC)
    assert "class='warn'" not in segments._tiles(row, row, end + timedelta(hours=47))
    assert "<b class='warn'>2017-12-30</b><small>ended 3 days ago" in segments._tiles(row, row, end + timedelta(days=3))


def test_times_are_those_of_the_zone_that_the_page_names(monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_LIFESTAGE_WAREHOUSE", "postgresql://bi_reader@127.0.0.1/warehouse?options=-c%20a=b"
    )
    assert "-c timezone=UTC" in warehouse.address()["options"]


def test_the_same_question_is_asked_once_a_minute(monkeypatch):
    asked, now = [], [1000.0]
    monkeypatch.setattr(warehouse.time, "monotonic", lambda: now[0])
    marts = Marts()
    monkeypatch.setattr(marts, "_ask", lambda sql, values: asked.append((sql, values)) or [{"n": len(asked)}])
    assert [marts("a"), marts("a"), marts("a", 1)] == [[{"n": 1}], [{"n": 1}], [{"n": 2}]]
    now[0] += warehouse.KEPT_S + 1
    assert marts("a") == [{"n": 3}]
