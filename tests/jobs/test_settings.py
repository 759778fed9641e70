"""settings.yaml: whatever it holds that is not known is refused with its place."""

import re
from dataclasses import replace

import pytest

from expectations.errors import SetupError
from expectations.events import EVENTS, INGEST_REPORT
from jobs.behaviour.outliers import OutlierSettings
from jobs.checks.chosen import chosen
from jobs.checks.outcomes import contract_digest
from jobs.segments.settings import SegmentSettings
from jobs.settings import load_settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("segments: {new_days: 3}", r"no section 'segments'; known: segment"),
        ("segment: {new_days: .nan}", r"segment.new_days must be 0 or more, found nan"),
        ("segment: {new_days: -5}", r"segment.new_days must be 0 or more, found -5"),
        ("segment: {new_days: .inf}", r"segment.new_days must be 0 or more, found inf"),
        ("segment: {new_days: true}", r"segment.new_days must be a number, found True"),
        ("segment: [1]", r"segment must hold `setting: value` pairs"),
        ("- segment", r"settings.yaml, line 1: the file must be key: value pairs"),
        ("segment: {}\nsegment: {new_days: 1}", r"settings.yaml, line 2: 'segment' stands there twice"),
        ("segment: {", r"settings.yaml is not YAML"),
    ],
)
def test_what_is_not_known_is_refused(home, text, message):
    (home.path / "settings.yaml").write_text(text)
    with pytest.raises(SetupError, match=message):
        load_settings(home, "segment", SegmentSettings)


def test_texts_and_switches_are_held_to_their_kind(home):
    for text, message in (
        ("outliers: {rule: 3}", "outliers.rule must be a text, found 3"),
        ("outliers: {rule: mad}", "outliers: rule must be iqr or z_score, found 'mad'"),
        ("outliers: {history_days: 30.5}", "outliers.history_days must be a whole number, found 30.5"),
        ("outliers: {history_days: 0}", "outliers: history_days must lie between 1 and 366, found 0"),
        ("outliers: {factor: 0}", "outliers: factor must be above 0"),
    ):
        (home.path / "settings.yaml").write_text(text)
        with pytest.raises(SetupError, match=message):
            load_settings(home, "outliers", OutlierSettings)
    (home.path / "settings.yaml").write_text("outliers: {rule: z_score, factor: 4}")
    assert load_settings(home, "outliers", OutlierSettings) == OutlierSettings(rule="z_score", factor=4)


def test_a_shop_gives_checks_bounds_of_its_own(home):
    (home.path / "settings.yaml").write_text("checks: {ingest_report.volume_warn: {minimum: 0.3}}")
    changed, check = chosen(home, INGEST_REPORT), {c.label: c for c in INGEST_REPORT.checks}["volume_warn"]
    assert {c.label: c for c in changed.checks}["volume_warn"] == replace(check, minimum=0.3)
    assert set(INGEST_REPORT.checks) - set(changed.checks) == {check}
    assert chosen(home, EVENTS) == EVENTS
    # So that --skip-unchanged judges anew what passed under other bounds.
    assert contract_digest(changed) != contract_digest(INGEST_REPORT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{volume_warn: {minimum: 1}}", "no table 'volume_warn'; write table.check; tables: events"),
        ("{events.volume: {minimum: 1}}", "events has no check 'volume'; known: amount_value_range_warn, "),
        ("{ingest_report.volume_warn: {least: 1}}", "must hold minimum and maximum, found {'least': 1}"),
        ("{ingest_report.volume_warn: false}", "must hold minimum and maximum, found False"),
        ("{events.late_warn: {minimum: 0}}", "must hold maximum, found {'minimum': 0}"),
        ("{events.late_warn: {maximum: much}}", "maximum must be a number, 0 or more, found 'much'"),
        ("{ingest_report.is_complete_fail: {maximum: 1}}", "must hold nothing: it has no bounds"),
    ],
)
def test_what_no_check_has_is_refused(home, text, message):
    (home.path / "settings.yaml").write_text(f"checks: {text}")
    with pytest.raises(SetupError, match=re.escape(message)):
        chosen(home, EVENTS)


@pytest.mark.parametrize("text", ["", "segment:\n", "{}", "# segment: {new_days: 3}\n  # later\n"])
def test_nothing_said_means_the_defaults(home, text):
    (home.path / "settings.yaml").write_text(text)
    assert load_settings(home, "segment", SegmentSettings) == SegmentSettings()
