"""The comparison: choices are made on validation, intervals are honest, rows are what others read, leaks stop it."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from expectations.behaviour import FEATURE_NAMES, FEATURES
from expectations.errors import DataError, LifestageError, SetupError
from jobs.reading.keys import CustomerKeys
from ml import compare as command
from ml import protocols, spend_rules
from ml.cohorts import Parts, customer_folds, load_parts
from ml.comparing.answers import Answers, ask, stage
from ml.comparing.choice import best_model, champion_of, middle_seed, thresholds, validation_score
from ml.comparing.homes import STUDY_KEY, STUDY_KEY_ID, home_of, key_note, require_snapshots
from ml.comparing.judging import Judge
from ml.comparing.resamples import Resamples, interval
from ml.comparing.rows import Row
from ml.comparing.store import write_csv, write_json
from ml.comparing.table import NOTES, Numbers, task_block
from ml.comparing.tasks import Task
from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.home import partition_days
from ml.horizons import Horizons
from ml.leaks import find_leaks, require_no_leak
from ml.protocols import Protocol
from ml.scoring_rules import auc

HORIZONS = Horizons((7, 14, 28), 14, (14,))
FIRST = date(2020, 1, 1)
CUTOFFS = (84, 98, 112, 126, 140, 154, 168)
"""Days after FIRST: five to train, one to validate, one to test; a test at 182 is added where two are wanted."""


class MadeShop:
    """Customers who buy each day with a rate of their own, and pay by a scale of their own; simulated."""

    def __init__(self, customers: int = 500, seed: int = 0, days: int = 230) -> None:
        rng = np.random.default_rng(seed)
        self.rate = rng.beta(0.8, 8, customers)
        scale = rng.lognormal(3, 0.7, customers)
        self.bought = rng.random((customers, days)) < self.rate[:, None]
        self.paid = self.bought * scale[:, None] * rng.lognormal(0, 0.3, self.bought.shape)
        self.keys = np.array([f"{n:064x}" for n in rng.permutation(customers)])

    def examples(self, *days: int, known_until: int = 230) -> Examples:
        parts = [self._as_of(day, known_until) for day in days]
        inputs = Inputs(
            home=None,
            customer_keys=np.concatenate([part.inputs.customer_keys for part in parts]),
            cutoffs=np.concatenate([part.inputs.cutoffs for part in parts]),
            features=np.concatenate([part.inputs.features for part in parts]),
            life={name: np.concatenate([part.inputs.life[name] for part in parts]) for name in parts[0].inputs.life},
        )
        labels = (np.concatenate([getattr(p, name) for p in parts]) for name in ("days_to_purchase", "observed_days"))
        return Examples(HORIZONS, inputs, *labels, np.concatenate([part.spend for part in parts]))

    def parts(self, *tests: int) -> Parts:
        *train, valid = CUTOFFS[:6]
        first = min(tests or (168,))
        return Parts(
            self.examples(*train, known_until=valid),
            self.examples(valid, known_until=first),
            tuple(self.examples(test) for test in tests or (168,)),
        )

    def _as_of(self, day: int, known_until: int) -> Examples:
        seen, paid, ahead = self.bought[:, : day + 1], self.paid[:, : day + 1], self.bought[:, day + 1 :]
        last = np.where(seen.any(axis=1), seen[:, ::-1].argmax(axis=1), np.nan)
        first = np.where(seen.any(axis=1), day - seen.argmax(axis=1), np.nan)
        count = seen.sum(axis=1).astype(np.float64)
        mean = np.divide(paid.sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0)
        features = np.zeros((len(count), len(FEATURE_NAMES)))
        known = {"recency_days": last, "event_recency_days": last, "monetary_value": mean}
        for window in (7, 30, 90):
            known[f"purchase_days_{window}d"] = seen[:, -window:].sum(axis=1)
            known[f"purchase_amount_{window}d"] = paid[:, -window:].sum(axis=1)
        for name, values in known.items():
            if name in FEATURE_NAMES:
                features[:, FEATURE_NAMES.index(name)] = values
        life = {"frequency_days": count, "recency_days": last, "first_purchase_age_days": first}
        life |= {"tenure_days": np.where(np.arange(len(count)) % 10 == 0, 10.0, 200.0), "monetary_value": mean}
        observed = min(known_until - day, HORIZONS.longest)
        soon = ahead[:, :observed]
        wait = np.where(soon.any(axis=1), soon.argmax(axis=1) + 1.0, np.inf)
        spend = self.paid[:, day + 1 : day + 15].sum(axis=1) if observed >= 14 else np.full(len(count), np.nan)
        cutoffs = np.full(len(count), np.datetime64(FIRST + timedelta(days=day)))
        inputs = Inputs(None, self.keys, cutoffs, features, life)
        return Examples(HORIZONS, inputs, wait, np.full(len(count), observed), spend[:, None])


@pytest.fixture(name="made", scope="module")
def _shop() -> MadeShop:
    return MadeShop()


@pytest.fixture(name="scene", scope="module")
def _scene(made):
    return stage(Protocol((FIRST,), FIRST, (FIRST,), HORIZONS), made.parts(168, 182))


def told(examples: Examples, rate: np.ndarray, mean: float = 50.0) -> Forecast:
    """The forecast of one who believes in these daily rates."""
    spans = np.diff([0, *HORIZONS.edges_days])
    hazard = 1 - (1 - np.clip(rate, 1e-4, 0.99)[:, None]) ** spans
    ones = np.ones((len(examples), 1))
    return Forecast(HORIZONS, hazard, mean * ones, 0.8 * ones)


def answers(name: str, scene, rate, wrong_on: str = "") -> Answers:
    """A model that knows ``rate``; on the part named ``wrong_on`` it says the reverse."""

    def rates(part: str) -> np.ndarray:
        return rate.max() - rate if part == wrong_on else rate

    valid = told(scene.parts.valid, rates("valid"))
    return Answers(name, 0, valid, tuple(told(test, rates("test")) for test in scene.parts.tests), 1.0, 0.1, {})


def test_the_champion_is_the_best_in_validation_even_if_the_tests_say_otherwise(scene, made):
    # One is right in validation and wrong in the tests; the other the other way round.
    right_before = answers("cnn", scene, made.rate, wrong_on="test")
    right_after = answers("lstm", scene, made.rate, wrong_on="valid")
    assert champion_of([right_after, right_before], scene.parts.valid) == "cnn"
    # The mean of what matured: two of three windows, for validation is known for 14 days only, and spend.
    valid, forecast = scene.parts.valid, right_before.valid
    by_hand = [auc(valid.is_buyer(days), forecast.probability(days)) for days in (7, 14)]
    by_hand.append(spend_rules.normalised_gini(valid.spend_within(14), forecast.expected_spend(14)))
    assert validation_score(right_before.valid, valid) == pytest.approx(np.mean(by_hand))


def test_a_lucky_seed_wins_nothing():
    # gru holds the highest score of all, lstm is better in the mean; of lstm the seed in the middle ships.
    scores = {"gru": [0.70, 0.80, 0.71], "lstm": [0.76, 0.73, 0.75], "cnn": [np.nan] * 3}
    assert best_model(scores) == "lstm"
    assert middle_seed(scores["lstm"]) == 2
    assert middle_seed([0.2, 0.1]) == 1, "the lower of two"
    assert best_model({"gru": [0.7], "lstm": [0.7]}) == "gru", "the first named of equals"


def test_thresholds_never_see_a_test(scene, made):
    one = answers("cnn", scene, made.rate)
    before = {task.name: thresholds(task, one, scene) for task in (Task("purchase", 7), Task("purchase", 28))}
    reversed_tests = tuple(
        replace(test, days_to_purchase=np.where(np.isinf(test.days_to_purchase), 1.0, np.inf))
        for test in scene.parts.tests
    )
    other = replace(scene, parts=replace(scene.parts, tests=reversed_tests))
    assert before == {task.name: thresholds(task, one, other) for task in (Task("purchase", 7), Task("purchase", 28))}
    # 28 days had not matured in validation: labels that nobody has cannot move it, the probabilities alone decide.
    assert 0 < before["purchase_28d"][0] < 1


def judged(scene, *models: Answers, champion: str, resamples: int = 60) -> Numbers:
    judge = Judge("made", scene, resamples)
    for model in models:
        judge.add([model])
    return Numbers(judge.rows(champion))


def test_the_better_model_is_above_the_champion_and_the_worse_below(scene, made):
    rng = np.random.default_rng(1)
    models = [
        answers("gru", scene, np.clip(made.rate + rng.normal(0, 0.05, len(made.rate)), 0.001, 0.9)),
        answers("cnn", scene, made.rate),
        answers("lstm", scene, rng.permutation(made.rate)),
        answers("transformer", scene, np.clip(made.rate + 0.0, 0.001, 0.9)),
    ]
    numbers = judged(scene, *models, champion="gru")
    better, worse = (numbers.get("purchase_14d", name, "auc_minus_champion") for name in ("cnn", "lstm"))
    assert better.low > 0
    assert worse.high < 0
    # The paired difference is the difference, and the better Brier is the lower.
    apart = numbers.value("purchase_14d", "cnn", "auc") - numbers.value("purchase_14d", "gru", "auc")
    assert better.value == pytest.approx(apart)
    assert numbers.get("purchase_14d", "lstm", "brier_minus_champion").low > 0
    # Two who say the same differ by nothing, in every resample; and nobody is compared with themselves.
    same = judged(scene, models[1], models[3], champion="cnn").get("purchase_14d", "transformer", "auc_minus_champion")
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0), abs=0.003)
    assert numbers.get("purchase_14d", "gru", "auc_minus_champion") is None


def test_the_mean_is_of_the_cutoffs_whose_window_has_matured(scene, made):
    parts = replace(scene.parts, tests=(scene.parts.tests[0], made.examples(210, known_until=220)))
    short = replace(scene, parts=parts)
    numbers = judged(short, answers("cnn", short, made.rate), champion="cnn")
    first, second = (str(FIRST + timedelta(days=day)) for day in (168, 210))
    assert numbers.cutoffs("purchase_7d") == [first, second]
    of_each = [numbers.value("purchase_7d", "cnn", "auc", cutoff=day) for day in (first, second)]
    assert numbers.value("purchase_7d", "cnn", "auc") == pytest.approx(np.mean(of_each))
    # Known for ten days: nothing is said of fourteen there, and the mean is of the other alone.
    assert numbers.cutoffs("churn_14d") == numbers.cutoffs("spend_14d") == [first]
    assert numbers.value("churn_14d", "cnn", "auc") == numbers.value("churn_14d", "cnn", "auc", cutoff=first)


def test_a_calibrated_model_shows_no_excess_and_an_overconfident_one_does(scene, made):
    overconfident = np.where(made.rate > np.median(made.rate), 0.5, 0.001)
    numbers = judged(
        scene, answers("cnn", scene, made.rate), answers("lstm", scene, overconfident), champion="cnn", resamples=200
    )
    honest, wrong = (numbers.get("purchase_14d", name, "calibration_excess") for name in ("cnn", "lstm"))
    assert honest.low < 0 < honest.high
    assert wrong.low > 0.05
    perfect = numbers.get("purchase_14d", "cnn", "calibration_error_if_perfect")
    assert 0 < perfect.low < perfect.value < perfect.high


def test_the_interval_of_resampled_customers_covers_the_truth():
    # Customers of 6 rows that all say nearly the same: counted as rows of their own, intervals would be far too narrow.
    rng, hits, naive = np.random.default_rng(0), 0, 0
    for n in range(150):
        level = rng.normal(0, 1, 60)
        values = np.repeat(level, 6) + rng.normal(0, 0.2, 360)
        keys = np.repeat([f"{c:03}" for c in range(60)], 6)
        for name, of_whom in (("customers", keys), ("rows", np.array([f"{r:03}" for r in range(360)]))):
            drawn = Resamples.of((of_whom,), 200, seed=n)
            means = np.concatenate(
                [(values @ weights) / weights.sum(axis=0) for _, weights in drawn.chunks(0, np.arange(360))]
            )
            low, high = interval(means)
            hits += (low < 0 < high) if name == "customers" else 0
            naive += (low < 0 < high) if name == "rows" else 0
    assert 0.89 <= hits / 150 <= 0.99
    assert naive / 150 < 0.75


def test_a_customer_is_drawn_with_all_their_rows_of_every_cutoff():
    first, second = np.array(["a", "b", "c", "d"]), np.array(["d", "a", "c"])
    drawn = Resamples.of((first, second), 40)
    weights = [
        np.concatenate([some for _, some in drawn.chunks(n, np.arange(len(keys)))], axis=1)
        for n, keys in enumerate((first, second))
    ]
    assert (weights[0][[3, 0, 2]] == weights[1]).all()
    assert (weights[0][:, 0] == 1).all(), "the first is the sample itself"
    assert set(weights[0][:, 1:].sum(axis=0)) == {4}


def test_an_interval_of_mostly_nothing_is_none():
    values = np.array([0.5] + [np.nan] * 60 + [0.4] * 40)
    assert np.isnan(interval(values)).all()
    assert np.isnan(interval(np.array([np.nan, 0.1, 0.2]))).all()


def test_customers_split_in_folds_are_answered_by_models_that_never_saw_them(made):
    # The studies' own split: validation and test are the same rows as training, in folds.
    rows = made.examples(168)
    protocol = Protocol((FIRST,), FIRST, (FIRST,), HORIZONS, by_customer=True)
    scene = stage(protocol, Parts(rows, rows, (rows,)))
    seen = [set(split.train.inputs.customer_keys) for split in scene.splits]
    tested = [set(split.tests[0].inputs.customer_keys) for split in scene.splits]
    calibrated = [set(split.valid.inputs.customer_keys) for split in scene.splits]
    assert sorted(key for keys in tested for key in keys) == sorted(rows.inputs.customer_keys)
    for train, valid, test in zip(seen, calibrated, tested, strict=True):
        assert not train & test
        assert not train & valid
        assert not valid & test
    # Stitched in the order of the rows: the rule by recency falls as recency rises, in every fold.
    forecast = ask("recency_rule", 0, "quick", scene)
    for fold in range(len(scene.splits)):
        mine = scene.tests[0] == fold
        known = mine & np.isfinite(rows.inputs.life["recency_days"])
        order = np.argsort(rows.inputs.life["recency_days"][known], kind="stable")
        assert (np.diff(forecast.tests[0].probability(14)[known][order]) <= 1e-9).all()
        assert set(rows.inputs.customer_keys[mine]) == tested[fold]
    assert (customer_folds(rows.inputs.customer_keys[:7], 5) == scene.tests[0][:7]).all(), "a fold never moves"


@pytest.mark.parametrize(
    ("feature", "noise"),
    [("exactly the label", 0.0), ("AUC .95 alone", 0.43), ("AUC .79 alone, less than honest ones", 0.9)],
)
def test_a_planted_leak_is_caught(feature, noise):
    train, rng = MadeShop(1200, seed=4).parts().train, np.random.default_rng(6)
    label = (train.days_to_purchase <= HORIZONS.churn_days).astype(np.float64)
    peeking = label + rng.normal(0, noise, len(label))
    inputs = replace(train.inputs, features=np.column_stack([train.inputs.features, peeking]))
    names = (*FEATURE_NAMES, "loyalty_tier")
    with pytest.raises(DataError, match="loyalty_tier: AUC") as refused:
        require_no_leak(replace(train, inputs=inputs), names)
    # It alone: the honest ones beside it are not named.
    assert str(refused.value).count("AUC") == 1


def test_a_window_counted_a_week_too_far_is_caught():
    # The commonest leak: a count of the last 7 days that ends 7 days after the cutoff.
    shop = MadeShop(1200, seed=5)
    train = shop.parts().train
    shifted = np.concatenate([shop.bought[:, day + 1 : day + 8].sum(axis=1) for day in CUTOFFS[:5]]).astype(np.float64)
    features = train.inputs.features.copy()
    features[:, FEATURE_NAMES.index("purchase_days_7d")] = shifted
    found = find_leaks(replace(train, inputs=replace(train.inputs, features=features)))
    assert [leak.feature for leak in found] == ["purchase_days_7d"]


def test_honest_features_pass(parts):
    # Both made shops: recency, counts, gaps, amounts, whatever the contract knows of a shop of purchases.
    for seed in range(3):
        require_no_leak(MadeShop(seed=seed).parts().train)
    require_no_leak(parts.train)


def test_subscribers_pass_though_their_recency_tells_the_coming_week():
    # Every 30 days, a day early or late now and then: recency alone knows this week almost surely, and no later one.
    shop, rng = MadeShop(1200, seed=8), np.random.default_rng(9)
    due = rng.integers(30, size=1200)[:, None] + 30 * np.arange(8) + rng.choice([-1, 0, 0, 0, 0, 0, 1], size=(1200, 8))
    shop.bought[:] = False
    for n, days in enumerate(due):
        shop.bought[n, np.clip(days, 0, 229)] = True
    shop.paid = shop.bought * 10.0
    train = shop.parts().train
    recency = train.inputs.life["recency_days"]
    assert auc(train.is_buyer(7)[train.matured(7)], recency[train.matured(7)]) > 0.97
    require_no_leak(train)


@pytest.fixture(name="pets")
def _pets(shop_home: Path, monkeypatch: pytest.MonkeyPatch) -> Protocol:
    """The simulated shop as a study."""
    *train, valid, test = partition_days(FEATURES, shop_home)
    protocol = Protocol(tuple(train), valid, (test,))
    monkeypatch.setitem(protocols.STUDIES, "pets", protocol)
    return protocol


def run(*said: str) -> None:
    command.main(command.arg_parser().parse_args(["--source", "pets", *said]))


def test_the_command_prints_writes_and_logs_the_table(pets, shop_home, tmp_path, capsys):
    file = tmp_path / "rows.json"
    run("--home", str(shop_home), "--json", str(file), "--models", "past_spend,recency_rule")
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 120
    assert "Champion: " in printed
    assert "shop pets (simulated)" in printed
    assert "note: customers keyed under none" in printed
    assert all(note in printed for note in NOTES)

    rows = json.loads(file.read_text())
    assert {tuple(row) for row in rows} == {
        ("source", "cutoff", "task", "model", "stratum", "metric", "value", "low", "high")
    }
    assert {row["source"] for row in rows} == {"pets"}
    assert {row["cutoff"] for row in rows} == {str(pets.tests[0]), "mean"}
    assert {row["task"] for row in rows} == {
        *(f"purchase_{days}d" for days in (7, 14, 30)),
        *("churn_30d", "spend_30d", "all"),
    }
    assert {row["model"] for row in rows} == {"recency_rule", "past_spend", "outcome"}
    assert {"all", "repeat"} <= {row["stratum"] for row in rows} <= {"all", "new", "one_purchase", "repeat"}
    for row in rows:
        ends = (row["low"], row["high"])
        assert ends == (None, None) or ends[0] <= ends[1]
    metrics = {row["metric"] for row in rows if row["task"] == "spend_30d"}
    assert {"normalised_gini", "spearman", "decile_mape", "total_bias", "coverage_90", "top_decile_lift"} <= metrics

    from ml.tracking import initialise, mlflow_for

    client = mlflow_for(shop_home).MlflowClient()
    (logged,) = client.search_runs([initialise(shop_home)], "tags.`lifestage.kind` = 'compare'")
    assert logged.data.tags["lifestage.source"] == "pets"
    assert logged.data.tags["lifestage.budget"] == "quick"
    assert len(logged.data.tags["lifestage.data_digest"]) == 64
    kept = {Path(item.path).name for item in client.list_artifacts(logged.info.run_id, "compare")}
    assert kept == {"compare.json", "compare.csv", "compare.md", "compare.html", "settings.json"}


@pytest.mark.parametrize("where", ["fit", "judge"])
def test_a_model_that_breaks_costs_the_others_nothing(pets, shop_home, tmp_path, capsys, monkeypatch, where):
    def breaks(*_):
        raise ZeroDivisionError("no rows of a kind")

    if where == "fit":
        monkeypatch.setattr("ml.models.past_spend.PastSpend.fit", breaks)
    else:
        # Half judged: what was scored of it before goes too.
        judged = Judge._keep_mean

        def keep(self, task, stratum, model, keys):
            return breaks() if model == "past_spend" and task.is_money else judged(self, task, stratum, model, keys)

        monkeypatch.setattr(Judge, "_keep_mean", keep)
    file, said = tmp_path / "rows.json", ("--home", str(shop_home), "--json", str(tmp_path / "rows.json"))
    with pytest.raises(LifestageError, match="failed: past_spend: ZeroDivisionError: no rows of a kind") as error:
        run(*said, "--models", "past_spend,recency_rule")
    assert error.value.exit_code == 70
    assert capsys.readouterr().out.rstrip().endswith("failed: past_spend: ZeroDivisionError: no rows of a kind")
    assert {row["model"] for row in json.loads(file.read_text())} == {"recency_rule", "outcome"}
    monkeypatch.setattr("ml.models.recency_rule.RecencyRule.fit", breaks)
    with pytest.raises(LifestageError, match="no model could be fitted: recency_rule: ZeroDivisionError"):
        run(*said, "--models", "recency_rule")


def test_a_home_of_another_shop_is_refused(shop_home, pets, tmp_path):
    with pytest.raises(SetupError, match=r"tmall reads source tmall, but .* is the home of shop pets with pets"):
        home_of("tmall", shop_home)
    with pytest.raises(SetupError, match="make run SOURCE=cdnow_master"):
        home_of("cdnow", tmp_path)
    assert home_of("pets", shop_home) == shop_home


def test_numbers_under_another_key_than_the_studies_are_told(tmp_path):
    # The customers' keys order rows, split folds and number resamples.
    def note(**shop: str) -> str:
        (tmp_path / "shop.json").write_text(json.dumps({"shop": "pets", "sources": ["pets"], **shop}))
        return key_note(tmp_path)

    assert CustomerKeys(bytes.fromhex(STUDY_KEY)).key_id == STUDY_KEY_ID
    assert note(key_id=STUDY_KEY_ID) == ""
    assert note(key_id="0123456789ab").startswith("customers keyed under 0123456789ab, not a89032eb77bb")
    assert len(f"note: {note(key_id='0123456789ab')}") <= 120


def test_the_environment_names_the_home_unless_the_command_does(shop_home, pets, monkeypatch, tmp_path):
    monkeypatch.setenv("LIFESTAGE_HOME", str(shop_home))
    assert home_of("pets") == shop_home
    with pytest.raises(SetupError, match="holds no shop"):
        home_of("pets", tmp_path)


def test_missing_snapshots_are_told_with_the_commands_that_build_them(shop_home, pets):
    later = pets.tests[0] + timedelta(days=14)
    with pytest.raises(DataError) as told:
        require_snapshots(replace(pets, tests=(later,)), shop_home, needs_sequences=True)
    lines = str(told.value).splitlines()
    assert lines[1] == f"  python -m jobs build_features --home '{shop_home}' --ds {later}"
    assert lines[2].startswith(f"  python -m jobs build_sequences --home '{shop_home}' --ds {pets.train[0]} ")
    require_snapshots(pets, shop_home, needs_sequences=False)


def test_a_leak_stops_the_command(shop_home, pets, monkeypatch):
    # The shop's own features, one of them replaced by whether they bought afterwards.
    def planted(*said) -> Parts:
        parts = load_parts(*said)
        features = parts.train.inputs.features.copy()
        features[:, FEATURE_NAMES.index("coupon_rate_365d")] = parts.train.days_to_purchase < 31
        return replace(parts, train=replace(parts.train, inputs=replace(parts.train.inputs, features=features)))

    monkeypatch.setattr("ml.cohorts.load_parts", planted)
    with pytest.raises(DataError, match=r"(?s)nothing was trained:\n  coupon_rate_365d: AUC .* build_features"):
        run("--home", str(shop_home), "--models", "recency_rule")


def test_a_file_that_cannot_be_written_is_told_before_anything_is_fitted(shop_home, pets, tmp_path):
    with pytest.raises(SetupError, match="there is no folder"):
        run("--home", str(shop_home), "--json", str(tmp_path / "none" / "rows.json"))


def test_unknown_models_and_studies_are_told_with_those_there_are():
    with pytest.raises(SetupError, match="no model 'oracle'; there are: recency_rule"):
        command.chosen_models("recency_rule,oracle")
    with pytest.raises(SetupError, match="no study 'mars'"):
        command.main(command.arg_parser().parse_args(["--source", "mars"]))
    assert command.chosen_models("past_spend, recency_rule") == ["recency_rule", "past_spend"]


def test_what_has_no_value_is_null_in_json_and_empty_in_csv(tmp_path):
    row = Row("made", "mean", "churn_14d", "cnn", "new", "auc", np.nan)
    write_json([row], tmp_path / "a.json")
    write_csv([row], tmp_path / "a.csv")
    (kept,) = json.loads((tmp_path / "a.json").read_text())
    assert (kept["value"], kept["low"], kept["high"]) == (None, None, None)
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == "made,mean,churn_14d,cnn,new,auc,,,"
    assert task_block(Numbers([row]), Task("purchase", 7), ["cnn"], "cnn") == []
