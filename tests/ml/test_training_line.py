"""The commands on a simulated shop: train, reuse, resolve, promote, rollback, metrics; versions without pickle."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expectations.behaviour import FEATURES
from expectations.errors import DataError, SetupError, UnavailableError
from expectations.segments import SCORES
from ml import metrics, promote, resolve, rollback, train
from ml.due_checks import findings
from ml.plan import KIND, Plan
from ml.predict import load_frame, load_predictor, saved_folder
from ml.recalibrate import as_scored
from ml.registry import CHALLENGER, CHAMPION, MODEL_NAME, champion
from ml.runs import Fitted, Logged
from ml.scores import score_columns
from ml.tracking import initialise, mlflow_for

MODELS = ("recency_rule", "logistic_regression")


def run(module, *arguments: str) -> None:
    module.main(module.arg_parser().parse_args([*arguments]))


@pytest.fixture(scope="module")
def cutoff(test_part) -> date:
    return test_part.inputs.cutoffs[0].item()


@pytest.fixture(scope="module")
def trained(shop_home, cutoff) -> Path:
    """The home after two trainings of one cutoff: version 1 champion, version 2 a challenger that knows less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run(train, "--home", str(shop_home), "--cutoff", str(cutoff), "--models", ",".join(MODELS))
        run(train, "--home", str(shop_home), "--cutoff", str(cutoff), "--models", "recency_rule")
    return shop_home


def first_training(home) -> tuple[object, dict]:
    """The run of the first training, and those of its models by name."""
    client = mlflow_for(home).MlflowClient()
    found = client.search_runs([initialise(home)], f"tags.`lifestage.kind` = '{KIND}'", order_by=["start_time ASC"])
    models = client.search_runs([initialise(home)], f"tags.`mlflow.parentRunId` = '{found[0].info.run_id}'")
    return found[0], {one.info.run_name: one for one in models}


def test_every_model_is_a_run_below_its_training(trained, cutoff):
    parent, runs = first_training(trained)
    assert set(runs) == set(MODELS)
    assert parent.data.tags["lifestage.model_version"] == f"{MODEL_NAME}/1"
    assert parent.data.tags["lifestage.best_model"] == "logistic_regression"
    assert parent.data.tags["lifestage.promotion"] == "promoted"
    # Trainings can be compared by the best model of each.
    best = runs["logistic_regression"].data.metrics
    headline = {"test_auc", "test_average_precision", "test_brier", "test_calibration_error", "test_normalised_gini"}
    assert headline | {"test_total_bias"} <= parent.data.metrics.keys()
    told = {name: value for name, value in parent.data.metrics.items() if name.startswith("test_")}
    assert told == {name: best[name] for name in told}
    names = {
        "auc", "average_precision", "brier", "calibration_error", "accuracy", "recall", "f1", "top_decile_lift",
        "buyers_bias", "normalised_gini", "spearman", "decile_mape", "total_bias", "spend_mae", "coverage_90",
        "auc_repeat",
    }  # fmt: skip
    client = mlflow_for(trained).MlflowClient()
    for name, found in runs.items():
        data = found.data
        assert {f"{part}_{metric}" for part in ("valid", "test") for metric in names} <= set(data.metrics)
        assert data.metrics["test_auc_low"] < data.metrics["test_auc"] < data.metrics["test_auc_high"]
        # What is predicted and of whom stands beside every number.
        assert data.params["cutoff_test"] == str(cutoff)
        assert (data.params["churn_days"], data.params["edges_days"]) == ("30", "7 14 30 60 90")
        assert (data.params["min_purchase_days"], data.params["model"]) == ("1", name)
        assert len(data.params["data_digest"]) == 64
        assert data.params["code_version"]
        plots = {file.path for file in client.list_artifacts(found.info.run_id, "plots")}
        assert {"plots/roc.png", "plots/calibration.png", "plots/spend_by_decile.png"} <= plots
        features = {file.path for file in client.list_artifacts(found.info.run_id, "features")}
        assert features == {"features/features.csv", "features/features.html"}
        assert {"model_card.md", "model_card.html"} <= {f.path for f in client.list_artifacts(found.info.run_id)}
        (output,) = found.outputs.model_outputs
        info = mlflow_for(trained).models.get_model_info(f"models:/{output.model_id}")
        assert {"customer_key", "recency_days"} <= set(info.signature.inputs.input_names())
        assert "expected_spend_90d_high" in info.signature.outputs.input_names()
        assert info.saved_input_example_info is not None, name
    assert len({found.data.params["data_digest"] for found in runs.values()}) == 1
    best = runs["logistic_regression"].info.run_id
    told = {file.path for file in client.list_artifacts(best, "reasons")}
    assert {"reasons/importance.csv", "reasons/reasons.csv"} <= told


def test_logistic_regression_beats_the_recency_rule_and_says_by_how_much(trained):
    # In the simulation how often somebody bought tells more than when they last did.
    _, runs = first_training(trained)
    ours, theirs = (runs[name].data.metrics for name in ("logistic_regression", "recency_rule"))
    assert ours["test_auc"] > theirs["test_auc"] + 0.02
    gain = ours["test_auc_gain_over_recency_rule"]
    assert gain == pytest.approx(ours["test_auc"] - theirs["test_auc"], abs=1e-12)
    assert 0 < ours["test_auc_gain_over_recency_rule_low"] < gain < ours["test_auc_gain_over_recency_rule_high"]


def test_first_version_is_champion_and_a_worse_one_only_challenges(trained):
    aliases = mlflow_for(trained).MlflowClient().get_registered_model(MODEL_NAME).aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {"champion": 1, "challenger": 2}
    second = mlflow_for(trained).MlflowClient().get_model_version(MODEL_NAME, "2").run_id
    data = mlflow_for(trained).MlflowClient().get_run(second).data
    assert data.tags["lifestage.promotion"].startswith("no gain in brier is shown: −0.")
    assert data.metrics["promotion_brier_gain"] < 0


def test_champion_read_from_the_table_is_the_one_the_client_says(trained):
    version = mlflow_for(trained).MlflowClient().get_model_version_by_alias(MODEL_NAME, CHAMPION)
    assert champion(trained) == int(version.version)
    assert champion(trained, "no_such_model") is None


def test_the_best_is_chosen_as_in_a_comparison_and_its_middle_seed_ships():
    def fit(name: str, seed: int, score: float, brier: float) -> Logged:
        fitted = Fitted(name, seed, None, None, None, 0.0, 0.0)
        return Logged(fitted, f"{name}_{seed}", "", "", {"validation_score": score, "valid_brier": brier})

    # The best single fit, and the best Brier score, belong to gru: neither chooses.
    gru = [fit("gru", 0, 0.9, 0.1), fit("gru", 1, 0.6, 0.1), fit("gru", 2, 0.6, 0.1)]
    lstm = [fit("lstm", 0, 0.82, 0.2), fit("lstm", 1, 0.78, 0.2), fit("lstm", 2, 0.8, 0.2)]
    assert train.best_of([*gru, *lstm]).run_name == "lstm_2"


def test_reuse_trains_nothing_and_says_so(trained, cutoff, capsys, monkeypatch):
    count = len(mlflow_for(trained).MlflowClient().search_runs([initialise(trained)]))
    asked = []
    monkeypatch.setattr(train, "train", lambda plan, *_: asked.append(plan.promotion.deciding_metric))
    again = ("--home", str(trained), "--cutoff", str(cutoff), "--models", ",".join(MODELS), "--reuse")
    run(train, *again)
    assert not asked
    # What decides is a setting like any other.
    (trained / "settings.yaml").write_text("promotion: {deciding_metric: auc}")
    try:
        run(train, *again)
    finally:
        (trained / "settings.yaml").unlink()
    assert asked == ["auc"]
    out = capsys.readouterr().out
    assert "lifestage_behaviour/1 was trained on the same data, settings and code: nothing to do" in out
    assert len(mlflow_for(trained).MlflowClient().search_runs([initialise(trained)])) == count


def test_two_homes_in_one_process_keep_to_their_own_mlflow(trained, tmp_path):
    mlflow_for(trained)
    assert "MLFLOW_TRACKING_URI" not in os.environ
    with pytest.raises(SetupError, match="no MLflow address"):
        mlflow_for(tmp_path)


def test_another_digest_seed_or_setting_is_another_training(parts):
    from ml.settings import ModelSettings, PromotionSettings

    protocol = ModelSettings().protocol(date(2020, 7, 28), date(2020, 1, 1))
    plan = Plan(protocol, MODELS, "quick", 0, "1" * 64, PromotionSettings())
    others = [
        replace(plan, data_digest="0" * 64),
        replace(plan, seed=1),
        replace(plan, budget="full"),
        replace(plan, models=MODELS[:1]),
        replace(plan, promotion=PromotionSettings(deciding_metric="auc")),
        replace(plan, promotion=PromotionSettings(max_total_bias=0.2)),
        replace(plan, protocol=ModelSettings(churn_days=28).protocol(date(2020, 7, 28), date(2020, 1, 1))),
    ]
    assert len({plan.digest, *(other.digest for other in others)}) == 1 + len(others)
    assert replace(plan).digest == plan.digest


def test_unknown_models_are_refused(trained, cutoff):
    with pytest.raises(SetupError, match="no model 'oracle'; there are: recency_rule, "):
        run(train, "--home", str(trained), "--cutoff", str(cutoff), "--models", "recency_rule,oracle")


LOAD = """
import os, pickle, sys
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
home, day = sys.argv[1], sys.argv[2]
from datetime import date
from itertools import pairwise
import mlflow, numpy as np, pandas as pd
from ml.predict import load_frame, load_predictor
from ml.tracking import mlflow_for
def refuse(*_, **__):
    raise RuntimeError("pickle")
pickle.load = pickle.loads = refuse
frame = load_frame(date.fromisoformat(day), home)
for version in (1, 2):
    ours = load_predictor("lifestage_behaviour", version, home).score(frame, date.fromisoformat(day)).to_pandas()
    served = mlflow_for(home).pyfunc.load_model(f"models:/lifestage_behaviour/{version}")
    names = served.metadata.get_input_schema().input_names()
    rows = frame[names].copy()
    for name in names:
        if name in ("snapshot_date", "first_purchase_date"):
            rows[name] = pd.to_datetime(rows[name])
        elif name != "customer_key":
            rows[name] = rows[name].astype(float)
    said = served.predict(rows)
    assert list(said) == list(ours)
    assert all(np.array_equal(said[name], ours[name]) for name in ours)
print("loaded")
"""


def test_versions_load_and_are_served_where_pickle_is_refused(trained, cutoff):
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(trained), str(cutoff)],
        capture_output=True, text=True, cwd=Path(train.__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "loaded"


def test_no_artifact_is_a_pickle(trained):
    names = {file.name for file in (trained / "mlflow" / "artifacts").rglob("*") if file.is_file()}
    assert {"estimators.skops", "calibration.json", "about.json", "reference.json", "served.py"} <= names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".pth", ".joblib"))}


def test_predictor_says_the_same_whatever_the_order_size_and_frame(trained, cutoff, monkeypatch):
    frame = load_frame(cutoff, trained)
    predictor = load_predictor(MODEL_NAME, 1, trained)
    whole = score_columns(predictor.predict(frame, cutoff, trained))
    assert all(np.isfinite(values).all() for values in whole.values())
    order = np.random.default_rng(1).permutation(len(frame))
    shuffled = score_columns(
        predictor.predict(pa.Table.from_pandas(frame.iloc[order], preserve_index=False), cutoff, trained)
    )
    single = score_columns(predictor.predict(frame.iloc[[17]], cutoff, trained))
    monkeypatch.setattr("ml.predict.ROWS_AT_ONCE", 100)
    in_parts = score_columns(predictor.predict(frame, cutoff, trained))
    for name, values in whole.items():
        np.testing.assert_array_equal(values[order], shuffled[name])
        np.testing.assert_array_equal(values[[17]], single[name])
        np.testing.assert_array_equal(values, in_parts[name])
        assert (values.round(6) == values).all()
    assert all(len(v) == 0 for v in score_columns(predictor.predict(frame.iloc[:0], cutoff, trained)).values())


def test_scores_never_contradict_one_another(trained, cutoff):
    found = score_columns(load_predictor(MODEL_NAME, 1, trained).predict(load_frame(cutoff, trained), cutoff, trained))
    assert {*found} < {*SCORES.column_names}
    rising = [found[f"purchase_probability_{days}d"] for days in (7, 14, 30, 60, 90)]
    assert all((later >= sooner).all() for sooner, later in pairwise(rising))
    np.testing.assert_allclose(found["churn_probability"] + found["purchase_probability_30d"], 1, atol=1e-9)
    np.testing.assert_array_equal(found["churn_probability"], found["churn_probability_30d"])
    for days in (30, 90):
        low, high = (found[f"expected_spend_{days}d_{end}"] for end in ("low", "high"))
        assert (low <= high).all()
        assert (low >= 0).all()
    for end in ("", "_low", "_high"):
        assert (found[f"expected_spend_90d{end}"] >= found[f"expected_spend_30d{end}"]).all()


def test_scoring_again_gives_the_same_bytes_and_every_column(trained, cutoff):
    from jobs import score
    from jobs.home import Home
    from jobs.lake import LakeTable

    def scored() -> list[bytes]:
        run(score, "--home", str(trained), "--ds", str(cutoff), "--model", f"{MODEL_NAME}/1")
        return [file.read_bytes() for file in sorted((trained / "lake" / SCORES.folder(cutoff)).iterdir())]

    first = scored()
    assert first == scored()
    # Beside the rows stands what calibrated them: nothing newer than validation was over by the cutoff itself.
    recipe = json.loads(first[0])
    assert (recipe["model"], recipe["calibrated_on"]) == (f"{MODEL_NAME}/1", None)
    rows = LakeTable(Home(trained), SCORES).read_arrow([cutoff]).to_pandas()
    assert rows[["model_name", "model_version", "churn_days"]].drop_duplicates().to_numpy().tolist() == [
        [MODEL_NAME, 1, 30]
    ]
    # Prospects are scored, and told apart from those the model was judged on.
    frame = load_frame(cutoff, trained)
    assert (rows["is_eligible"].to_numpy() == (frame["frequency_days"] > 0).to_numpy()).all()
    assert rows.notna().all().all()
    assert (rows["clv_365d"] >= rows["expected_spend_90d"]).all()
    assert rows["is_clv_extrapolated"].all(), "nobody has been known for a year"


def test_a_scored_day_is_calibrated_on_the_window_that_is_over(trained, shop, cutoff, tmp_path, write_partition):
    from jobs import score
    from jobs.home import Home
    from jobs.lake import LakeTable

    # The home one window later, beside the other: its features are no study's.
    day, lake = cutoff + timedelta(days=30), tmp_path / "lake"
    (lake / "features").mkdir(parents=True)
    (lake / "customer_day").symlink_to(trained / "lake" / "customer_day")
    for snapshot in (trained / "lake" / "features").iterdir():
        (lake / "features" / snapshot.name).symlink_to(snapshot)
    for file in ("shop.json", "mlflow/tracking_uri"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text((trained / file).read_text())
    write_partition(tmp_path, FEATURES, day, shop.features(day))
    run(score, "--home", str(tmp_path), "--ds", str(day), "--model", f"{MODEL_NAME}/1")
    recipe = json.loads((lake / SCORES.folder(day) / "_recipe").read_text())
    assert (recipe["calibrated_on"], recipe["customers"]) == (
        str(cutoff),
        int((shop.features(cutoff)["frequency_days"] > 0).sum()),
    )
    rows = LakeTable(Home(tmp_path), SCORES).read_arrow([day])["purchase_probability_30d"].to_numpy()
    trained_as, frame = load_predictor(MODEL_NAME, 1, tmp_path), load_frame(day, tmp_path)
    told = [
        one.predict(frame, day).probability(30).round(6) for one in (as_scored(trained_as, day, tmp_path), trained_as)
    ]
    assert (rows == told[0]).all()
    assert np.abs(rows - told[1]).max() > 1e-4


def test_predictor_names_features_that_differ(trained, cutoff):
    predictor = load_predictor(MODEL_NAME, 1, trained)
    frame = load_frame(cutoff, trained).drop(columns=["order_count_7d"]).assign(shoe_size=44.0)
    with pytest.raises(DataError, match=r"missing in the rows: order_count_7d; unknown to the model: shoe_size"):
        predictor.predict(frame, cutoff, trained)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda names: [*names[1:], "shoe_size"], DataError, r"no longer there: shoe_size; unknown to the model: \w+"),
        (lambda names: names[::-1], DataError, "they stand in another order"),
        (None, SetupError, "saved by an earlier version of this code.*run `python -m ml train"),
    ],
)
def test_a_version_of_other_features_or_an_earlier_kind_is_refused(trained, change, error, message):
    file = saved_folder(MODEL_NAME, 2, trained) / "about.json"
    before = file.read_text()
    told = json.loads(before)
    try:
        if change:
            file.write_text(json.dumps(told | {"feature_names": change(told["feature_names"])}))
        else:
            file.unlink()
        with pytest.raises(error, match=f"{MODEL_NAME}/2 was .*{message}"):
            load_predictor(MODEL_NAME, 2, trained)
        # Nor can it become champion, and if it were, a training would be due.
        with pytest.raises(error, match=message):
            run(promote, "--home", str(trained), f"{MODEL_NAME}/2")
        assert champion(trained) == 1
        (found,) = findings(date(2020, 8, 1), 2, trained)
        assert found.is_due
        assert found.why.startswith("it can score no more: ")
    finally:
        file.write_text(before)


def test_files_that_are_gone_are_told(trained):
    folder = saved_folder(MODEL_NAME, 2, trained).parents[1]
    folder.rename(folder.with_name("away"))
    try:
        with pytest.raises(SetupError, match=f"{MODEL_NAME}/2 are gone from MLflow's store"):
            load_predictor(MODEL_NAME, 2, trained)
    finally:
        folder.with_name("away").rename(folder)


def test_unknown_version_lists_the_known_ones(trained):
    with pytest.raises(DataError, match=r"lifestage_behaviour/1, lifestage_behaviour/2"):
        load_predictor(MODEL_NAME, 9, trained)
    with pytest.raises(DataError, match="no model elsewhere/1"):
        load_predictor("elsewhere", 1, trained)


def test_promote_moves_the_champion_and_rollback_brings_it_back(trained, capsys):
    run(promote, "--home", str(trained), f"{MODEL_NAME}/2")
    assert capsys.readouterr().out == f"champion: {MODEL_NAME}/1 → {MODEL_NAME}/2\n"
    assert champion(trained) == 2
    assert CHALLENGER not in mlflow_for(trained).MlflowClient().get_registered_model(MODEL_NAME).aliases
    run(rollback, "--home", str(trained))
    assert capsys.readouterr().out == f"champion: {MODEL_NAME}/2 → {MODEL_NAME}/1\n"
    assert champion(trained) == 1
    with pytest.raises(DataError, match="no model lifestage_behaviour/3"):
        run(promote, "--home", str(trained), f"{MODEL_NAME}/3")
    assert champion(trained) == 1


def scores(*versions: int) -> pd.DataFrame:
    texts = {"customer_key": "k", "snapshot_date": date(2020, 8, 1), "model_name": MODEL_NAME, "is_eligible": True}
    row = {column.name: 1 for column in SCORES.columns} | texts | {"model_cutoff_date": date(2020, 7, 1)}
    return pd.DataFrame([row | {"model_version": version} for version in versions])


def test_resolve_keeps_the_version_a_day_was_scored_with(trained, capsys, write_partition):
    # Not scored yet: the champion, and nothing else on standard output, since a DAG reads it.
    run(resolve, "--home", str(trained), "--ds", "2020-08-01")
    assert capsys.readouterr().out == f"{MODEL_NAME}/1\n"
    # Scored with version 2 before: version 2, whoever is champion now.
    write_partition(trained, SCORES, date(2020, 8, 1), scores(2, 2))
    run(resolve, "--home", str(trained), "--ds", "2020-08-01")
    assert capsys.readouterr().out == f"{MODEL_NAME}/2\n"
    write_partition(trained, SCORES, date(2020, 8, 2), scores(1, 2))
    with pytest.raises(DataError, match="several models: lifestage_behaviour/1, lifestage_behaviour/2"):
        resolve.resolve(date(2020, 8, 2), trained)
    # Scored under an earlier contract, by a version that cannot be asked any more: the champion.
    write_partition(trained, SCORES, date(2020, 8, 3), scores(2).drop(columns=["churn_days"]))
    assert resolve.resolve(date(2020, 8, 3), trained) == f"{MODEL_NAME}/1"


def test_a_version_that_can_score_no_more_gives_way_to_the_champion(trained, capsys, caplog, write_partition):
    day, file = date(2020, 8, 4), saved_folder(MODEL_NAME, 2, trained) / "about.json"
    before, told = file.read_text(), json.loads(file.read_text())
    write_partition(trained, SCORES, day, scores(2))
    changes = {
        "no longer there: shoe_size": told | {"feature_names": [*told["feature_names"], "shoe_size"]},
        "is a oracle, which is none of": told | {"model": "oracle"},
        "in another format": told | {"format": 0},
    }
    try:
        for why, about in changes.items():
            caplog.clear()
            file.write_text(json.dumps(about))
            run(resolve, "--home", str(trained), "--ds", str(day))
            assert capsys.readouterr().out == f"{MODEL_NAME}/1\n"
            (line,) = [one.getMessage() for one in caplog.records if one.name == "ml.resolve"]
            start = f"2020-08-04 was scored with {MODEL_NAME}/2, from now on with the champion {MODEL_NAME}/1: "
            assert line.startswith(start)
            assert why in line
        # The champion itself stands, whatever it can: what scores says why it cannot.
        promote_anyway(2, trained)
        assert resolve.resolve(day, trained) == f"{MODEL_NAME}/2"
    finally:
        file.write_text(before)
        promote_anyway(1, trained)
    assert resolve.resolve(day, trained) == f"{MODEL_NAME}/2"
    write_partition(trained, SCORES, day, scores(9))  # a version that the registry no longer has
    assert resolve.resolve(day, trained) == f"{MODEL_NAME}/1"
    assert f"no model {MODEL_NAME}/9 in the registry" in caplog.text


def promote_anyway(version: int, home: Path) -> None:
    mlflow_for(home).MlflowClient().set_registered_model_alias(MODEL_NAME, CHAMPION, str(version))


def test_resolve_imports_neither_mlflow_nor_torch(trained):
    code = (
        "import sys; from datetime import date; from ml.resolve import resolve\n"
        f"print(resolve(date(2020, 7, 31), {str(trained)!r}), *({{'mlflow', 'torch', 'sklearn'}} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(train.__file__).parents[1], check=True
    )
    assert done.stdout == f"{MODEL_NAME}/1\n"


def test_metrics_show_the_champions_training_the_best_first(trained, cutoff, capsys):
    run(metrics, "--home", str(trained))
    head, titles, *rows = capsys.readouterr().out.splitlines()
    assert head == f"test cutoff {cutoff}"
    assert titles.split()[:2] == ["model", "AUC"]
    assert [row.split()[0] for row in rows[:2]] == ["logistic_regression", "recency_rule"]
    assert len({len(row) for row in (titles, *rows[:2])}) == 1
    assert rows[-1].startswith("logistic_regression − recency_rule: AUC +0.")
    assert rows[-1].endswith("]: logistic_regression is better")
    run(metrics, "--home", str(trained), "--json", "--cutoff", str(cutoff))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["model"] for line in lines] == ["recency_rule"], "the latest training of that cutoff"
    assert all(line["cutoff"] == str(cutoff) and "test_auc" in line for line in lines)
    with pytest.raises(DataError, match="nothing was trained as of 2019-01-01"):
        metrics.model_metrics(trained, date(2019, 1, 1))


def test_verdict_says_plainly_where_the_best_does_not_win():
    def line(gain, low, high):
        name = "test_auc_gain_over_trees"
        return metrics.verdicts({"gru": {name: gain, f"{name}_low": low, f"{name}_high": high}, "trees": {}})

    assert line(-0.0017, -0.0054, 0.0025) == ["gru − trees: AUC −0.0017 [−0.0054, +0.0025]: no difference shown"]
    assert line(-0.01, -0.02, -0.001)[0].endswith("[−0.0200, −0.0010]: gru is worse")
    assert line(0.01, 0.001, 0.02)[0].endswith("[+0.0010, +0.0200]: gru is better")
    assert metrics.verdicts({"gru": {"test_auc": 0.9}, "trees": {}}) == metrics.verdicts({}) == []


def test_a_version_describes_itself(trained, cutoff):
    _, runs = first_training(trained)
    found = runs["logistic_regression"].data.metrics
    about = mlflow_for(trained).MlflowClient().get_model_version(MODEL_NAME, "1").description
    start = f"logistic_regression of pets (simulated), test cutoff {cutoff}: AUC {found['test_auc']:.4f}, Brier "
    assert about.startswith(start)
    assert f"{found['test_total_bias']:.4f}" in about


def test_without_champion_or_server_the_message_says_what_to_do(tmp_path, shop_home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(SetupError, match="no champion yet: run `python -m ml train"):
        resolve.resolve(date(2020, 7, 31), shop_home)
    with pytest.raises(SetupError, match="there is none to go back to"):
        run(rollback, "--home", str(shop_home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg://mlflow:secret@127.0.0.1:1/mlflow?connect_timeout=2")
    with pytest.raises(UnavailableError, match=r"does not answer at postgresql\+psycopg://mlflow:\*\*\*@127.0.0.1:1"):
        resolve.resolve(date(2020, 7, 31), shop_home)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(SetupError, match="jobs setup"):
        resolve.resolve(date(2020, 7, 31), tmp_path)


def test_registry_on_postgresql(warehouse_home, trained, cutoff):
    """MLflow's tables and our reading of them on the server that ships; no row is written twice."""
    from ml.model_run import Run, log_run
    from ml.registry import promote as crown
    from ml.registry import register, required_champion
    from ml.tracking import artifact_root

    server_log = warehouse_home.path / "postgres" / "server.log"
    assert initialise(warehouse_home.path) == initialise(warehouse_home.path)
    experiment = mlflow_for(warehouse_home.path).MlflowClient().get_experiment(initialise(warehouse_home.path))
    assert experiment.artifact_location == artifact_root(warehouse_home.path)
    with pytest.raises(SetupError):
        required_champion(warehouse_home.path)
    before = len(server_log.read_bytes())
    params = {"data_digest": "0" * 64, "cutoff_test": "2020-07-28"}
    numbers = {"test_auc": 0.5, "test_total_bias": float("nan")}
    saved, example = saved_folder(MODEL_NAME, 1, trained), load_frame(cutoff, trained)[["customer_key", "age"]].head(2)
    (warehouse_home.path / "shown").mkdir()
    for version in (1, 2):
        shown = warehouse_home.path / "shown"
        one = Run("line", {}, params, numbers, shown, saved, example, {"valid_loss": [2.0, 1.0]})
        run_id, uri = log_run(one, warehouse_home.path)
        assert register(run_id, uri, warehouse_home.path) == version
        assert register(run_id, uri, warehouse_home.path) == version
    crown(MODEL_NAME, 1, warehouse_home.path)
    assert required_champion(warehouse_home.path) == 1
    assert b"duplicate key" not in server_log.read_bytes()[before:]
    client = mlflow_for(warehouse_home.path).MlflowClient()
    assert {"test_auc", "epoch/valid_loss"} <= client.get_run(run_id).data.metrics.keys()
    assert [point.value for point in client.get_metric_history(run_id, "epoch/valid_loss")] == [2.0, 1.0]
    kept = client.get_logged_model(uri.removeprefix("models:/")).metrics
    assert {metric.key for metric in kept} >= {"test_auc"}
