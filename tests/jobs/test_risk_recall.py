"""Injected fraud is found: clearly more often than a random list would, for every kind. The numbers: risk_recall."""

import pytest

from jobs.home import Home
from tests.benchmarks.risk_recall import INJECTED, recalls

pytestmark = pytest.mark.slow

RECALL = dict.fromkeys(INJECTED, 2 / 3) | {"return_abuse": 1 / 3}
"""Floors. Who has bought two lines in 120 days and sent them back cannot be told from bad luck."""


def test_every_kind_of_injected_fraud_is_found_far_beyond_chance(tmp_path):
    found = recalls(Home(tmp_path / "simulated"), customers=20_000)
    for kind in INJECTED:
        one = found[kind]
        assert one.cases >= 3, kind
        assert one.recall >= RECALL[kind], f"{kind}: {one}"
        assert one.recall > 30 * one.by_chance / one.cases, f"{kind}: {one}"
        assert one.precision >= 0.5, f"{kind}: {one}"
    assert found["anomaly"].precision > 20 * found["anomaly"].by_chance / found["anomaly"].drawn
