"""settings.yaml: whatever it holds that is not known is refused with its place."""

import pytest

from expectations.errors import SetupError
from jobs.lifecycle import SegmentSettings
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
        ("- segment", r"must hold sections \(segment\)"),
        ("segment: {", r"settings.yaml is not YAML"),
    ],
)
def test_what_is_not_known_is_refused(home, text, message):
    (home.path / "settings.yaml").write_text(text)
    with pytest.raises(SetupError, match=message):
        load_settings(home, "segment", SegmentSettings)


@pytest.mark.parametrize("text", ["", "segment:\n", "{}"])
def test_nothing_said_means_the_defaults(home, text):
    (home.path / "settings.yaml").write_text(text)
    assert load_settings(home, "segment", SegmentSettings) == SegmentSettings()
