"""Injected fraud is found: clearly more often than a random list would, for every kind. The numbers: risk_recall."""

import pytest

from jobs.home import Home
from tests.benchmarks.risk_recall import INJECTED, recalls

pytestmark = pytest.mark.slow


def test_every_kind_of_injected_fraud_is_found_far_beyond_chance(tmp_path):
    found = recalls(Home(tmp_path / "simulated"), customers=20_000)
    for kind in INJECTED:
        one = found[kind]
        assert one.cases >= 3, kind
        # A random list of 100 holds less than one case in a hundred.
        assert one.recall >= 0.5, f"{kind}: {one}"
        assert one.precision >= 0.5, f"{kind}: {one}"
    assert found["anomaly"].precision > 20 * found["anomaly"].by_chance / found["anomaly"].drawn
