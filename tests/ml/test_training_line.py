"""The commands on a simulated shop: train, reuse, resolve, promote, metrics; models loaded where pickle is refused."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expectations.errors import DataError, SetupError, UnavailableError
from expectations.segments import SCORES
from ml import metrics, promote, resolve, train
from ml.baselines import BASELINES
from ml.dataset import load_frame
from ml.predict import load_baseline, load_predictor
from ml.registry import CHALLENGER, CHAMPION, MODEL_NAME, champion
from ml.runs import Plan
from ml.tracking import initialise, mlflow_for, runs_of

MODELS = ("network", *BASELINES)


def run(module, *arguments: str) -> None:
    module.main(module.arg_parser().parse_args([*arguments]))


@pytest.fixture(scope="module")
def cutoff(splits) -> date:
    return splits.cutoffs[0]


@pytest.fixture(scope="module")
def trained(shop_home, cutoff) -> Path:
    """The home after two trainings of one cutoff: version 1 champion, version 2 (other seed) challenger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run(train, "--home", str(shop_home), "--cutoff", str(cutoff))
        patch.setattr("ml.baselines.BASELINES", {})  # the second is there for its version alone
        run(train, "--home", str(shop_home), "--cutoff", str(cutoff), "--seed", "1")
    return shop_home


def latest_runs(home, cutoff, seed=0) -> dict:
    found = (
        mlflow_for(home)
        .MlflowClient()
        .search_runs([initialise(home)], f"tags.`lifestage.cutoff` = '{cutoff}' and params.seed = '{seed}'")
    )
    return {found_run.info.run_name: found_run for found_run in found}


def test_every_model_is_a_run_with_params_metrics_plots_and_signature(trained, cutoff):
    runs = latest_runs(trained, cutoff)
    assert set(runs) == set(MODELS)
    names = {
        "auc",
        "average_precision",
        "brier",
        "expected_calibration_error",
        "normalised_gini",
        "spend_mae",
        "total_bias",
    }
    client = mlflow_for(trained).MlflowClient()
    for name, found in runs.items():
        data = found.data
        assert {f"{part}_{metric}" for part in ("valid", "test") for metric in names} <= set(data.metrics)
        assert data.metrics["test_auc_low"] < data.metrics["test_auc"] < data.metrics["test_auc_high"]
        assert data.params["cutoff_test"] == str(cutoff)
        assert len(data.params["data_digest"]) == 64
        assert data.params["code_version"]
        plots = {file.path for file in client.list_artifacts(found.info.run_id, "plots")}
        assert plots == {"plots/roc.png", "plots/calibration.png", "plots/spend_by_decile.png"}
        features = {file.path for file in client.list_artifacts(found.info.run_id, "features")}
        assert features == {"features/features.csv", "features/features.html"}
        (output,) = found.outputs.model_outputs
        info = mlflow_for(trained).models.get_model_info(f"models:/{output.model_id}")
        assert info.signature.inputs.is_tensor_spec(), name
        assert info.saved_input_example_info is not None, name
    assert len({found.data.params["data_digest"] for found in runs.values()}) == 1


def test_network_run_keeps_its_whole_config_and_losses_by_epoch(trained, cutoff):
    from dataclasses import fields

    from ml.network import Config

    found = latest_runs(trained, cutoff)["network"]
    assert {field.name for field in fields(Config)} <= set(found.data.params)
    history = mlflow_for(trained).MlflowClient().get_metric_history(found.info.run_id, "valid_loss")
    losses = {point.step: point.value for point in history}
    assert sorted(losses) == list(range(1, len(losses) + 1))
    assert min(losses, key=losses.get) == int(found.data.params["best_epoch"])


def test_network_and_boosting_beat_the_recency_rule(trained, cutoff):
    # In the simulation how often somebody bought tells more than when they last did.
    auc = {name: found.data.metrics["test_auc"] for name, found in latest_runs(trained, cutoff).items()}
    assert auc["network"] > auc["recency_rule"] + 0.02
    assert auc["gradient_boosting"] > auc["recency_rule"] + 0.02


def test_first_version_is_champion_and_a_later_one_only_challenges(trained):
    aliases = mlflow_for(trained).MlflowClient().get_registered_model(MODEL_NAME).aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {"champion": 1, "challenger": 2}


def test_champion_read_from_the_table_is_the_one_the_client_says(trained):
    version = mlflow_for(trained).MlflowClient().get_model_version_by_alias(MODEL_NAME, CHAMPION)
    assert champion(trained) == int(version.version)
    assert champion(trained, "no_such_model") is None


def test_reuse_trains_nothing_and_says_so(trained, cutoff, capsys, monkeypatch):
    before = len(runs_of({"lifestage.cutoff": str(cutoff)}, trained)), champion(trained)
    count = len(mlflow_for(trained).MlflowClient().search_runs([initialise(trained)]))
    monkeypatch.setattr(train, "train_all", None)  # to train would fail
    run(train, "--home", str(trained), "--cutoff", str(cutoff), "--reuse")
    assert (
        "lifestage_behaviour/1 was trained on the same data, settings and code: nothing to do"
        in capsys.readouterr().out
    )
    assert len(mlflow_for(trained).MlflowClient().search_runs([initialise(trained)])) == count
    assert (len(runs_of({"lifestage.cutoff": str(cutoff)}, trained)), champion(trained)) == before


def test_reuse_crowns_the_version_that_a_killed_training_left_without(trained, cutoff, capsys):
    mlflow_for(trained).MlflowClient().delete_registered_model_alias(MODEL_NAME, CHAMPION)
    run(train, "--home", str(trained), "--cutoff", str(cutoff), "--reuse")
    assert champion(trained) == 1


def test_two_homes_in_one_process_keep_to_their_own_mlflow(trained, tmp_path):
    mlflow_for(trained)
    assert "MLFLOW_TRACKING_URI" not in os.environ
    with pytest.raises(SetupError, match="no MLflow address"):
        mlflow_for(tmp_path)


def test_network_is_a_pyfunc_for_any_number_of_rows(trained, splits):
    model = mlflow_for(trained).pyfunc.load_model(f"models:/{MODEL_NAME}/1")
    for n in (1, 3, 100):
        assert model.predict(splits.test.features[:n]).shape == (n, 2)


def test_another_digest_seed_or_setting_is_another_training(splits):
    from ml.dataset import Settings
    from ml.network import Config

    plan = Plan(splits.cutoffs[0], Config(), Settings(), splits.digest)
    others = [
        replace(plan, data_digest="0" * 64),
        replace(plan, config=Config(seed=1)),
        replace(plan, config=Config(hidden=(8,))),
        replace(plan, settings=Settings(max_cutoffs=5)),
        replace(plan, cutoff=splits.cutoffs[1]),
    ]
    assert len({plan.digest, *(other.digest for other in others)}) == 6
    assert replace(plan).digest == plan.digest


LOAD_ALL = """
import os, sys, pickle
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
import numpy as np
from ml.predict import load_baseline, load_predictor
def refuse(*_, **__): raise AssertionError("a pickle was read")
home, *runs = sys.argv[1:]
predictor = load_predictor("lifestage_behaviour", 1, home)
rows = np.ones((3, len(predictor.feature_names)))
for model in (predictor, *(load_baseline(run, home) for run in runs)):
    assert model.model(rows).shape == (3, 2), model.label
print("loaded", 1 + len(runs))
"""


def test_all_four_models_load_where_pickle_is_refused(trained, cutoff):
    runs = latest_runs(trained, cutoff)
    ids = [runs[name].info.run_id for name in BASELINES]
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, str(trained), *ids],
        capture_output=True,
        text=True,
        cwd=Path(train.__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "loaded 4"


def test_no_artifact_is_a_pickle(trained):
    names = {file.name for file in (trained / "mlflow" / "artifacts").rglob("*") if file.is_file()}
    assert {"model.pt2", "model.skops"} <= names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".pth", ".joblib"))}


def test_reloaded_baseline_says_what_was_measured(trained, cutoff, splits):
    from ml.evaluate import auc

    # Frame, keys and numbers are taken and given as a registered version's.
    frame = load_frame(cutoff, trained)
    tested = frame["customer_key"].isin(splits.test.customer_keys).to_numpy()
    network = load_predictor(MODEL_NAME, 1, trained).predict(frame)
    for name in BASELINES:
        found = latest_runs(trained, cutoff)[name]
        model = load_baseline(found.info.run_id, trained)
        said = model.predict(frame)
        assert {key: (v.shape, v.dtype) for key, v in said.items()} == {
            key: (v.shape, v.dtype) for key, v in network.items()
        }
        probability = said["purchase_probability_30d"][tested]
        assert auc(splits.test.is_buyer, probability) == pytest.approx(found.data.metrics["test_auc"], abs=1e-4)
        np.testing.assert_array_equal(
            model.predict(pa.Table.from_pandas(frame))["purchase_probability_30d"][tested], probability
        )
        with pytest.raises(DataError, match=rf"{name} of run {found.info.run_id} was trained on other features"):
            model.predict(frame.drop(columns=["order_count_7d"]))


def test_predictor_says_the_same_whatever_the_order_size_and_frame(trained, cutoff):
    frame = load_frame(cutoff, trained)
    predictor = load_predictor(MODEL_NAME, 1, trained)
    whole = predictor.predict(frame)
    assert set(whole) == {"purchase_probability_30d", "spend_if_purchase_30d"}
    assert all(values.dtype == np.float64 and np.isfinite(values).all() for values in whole.values())
    order = np.random.default_rng(1).permutation(len(frame))
    shuffled = predictor.predict(pa.Table.from_pandas(frame.iloc[order], preserve_index=False))
    single = predictor.predict(frame.iloc[[17]])
    for name, values in whole.items():
        np.testing.assert_array_equal(values[order], shuffled[name])
        np.testing.assert_array_equal(values[[17]], single[name])
        assert (values.round(6) == values).all()
    assert all(len(values) == 0 for values in predictor.predict(frame.iloc[:0]).values())


def test_predictor_names_features_that_differ(trained, cutoff):
    predictor = load_predictor(MODEL_NAME, 1, trained)
    frame = load_frame(cutoff, trained).drop(columns=["order_count_7d"]).assign(shoe_size=44.0)
    with pytest.raises(DataError, match=r"missing in the rows: order_count_7d; unknown to the model: shoe_size"):
        predictor.predict(frame)


def test_unknown_version_lists_the_known_ones(trained):
    with pytest.raises(DataError, match=r"lifestage_behaviour/1, lifestage_behaviour/2"):
        load_predictor(MODEL_NAME, 9, trained)
    with pytest.raises(DataError, match="no model elsewhere/1"):
        load_predictor("elsewhere", 1, trained)


def test_promote_moves_the_champion_and_back(trained, capsys):
    run(promote, "--home", str(trained), f"{MODEL_NAME}/2")
    assert capsys.readouterr().out == f"champion: {MODEL_NAME}/1 → {MODEL_NAME}/2\n"
    assert champion(trained) == 2
    assert CHALLENGER not in mlflow_for(trained).MlflowClient().get_registered_model(MODEL_NAME).aliases
    run(promote, "--home", str(trained), f"{MODEL_NAME}/1")
    assert capsys.readouterr().out == f"champion: {MODEL_NAME}/2 → {MODEL_NAME}/1\n"
    with pytest.raises(DataError, match="no model lifestage_behaviour/3"):
        run(promote, "--home", str(trained), f"{MODEL_NAME}/3")
    assert champion(trained) == 1


def scores(*versions: int) -> pd.DataFrame:
    row = {"customer_key": "k", "snapshot_date": date(2020, 8, 1), "model_name": MODEL_NAME} | dict.fromkeys(
        ("purchase_probability_30d", "churn_probability_30d", "spend_if_purchase_30d", "expected_spend_30d"), 0.5
    )
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


def test_resolve_imports_neither_mlflow_nor_torch(trained):
    code = (
        "import sys; from datetime import date; from ml.resolve import resolve\n"
        f"print(resolve(date(2020, 7, 31), {str(trained)!r}), *({{'mlflow', 'torch', 'sklearn'}} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(train.__file__).parents[1], check=True
    )
    assert done.stdout == f"{MODEL_NAME}/1\n"


def test_metrics_show_the_champions_training_network_first(trained, cutoff, capsys):
    run(metrics, "--home", str(trained))
    head, titles, *rows = capsys.readouterr().out.splitlines()
    assert head == f"test cutoff {cutoff}"
    assert titles.split()[:2] == ["model", "AUC"]
    assert [row.split()[0] for row in rows[:4]] == [
        "network",
        "gradient_boosting",
        "logistic_regression",
        "recency_rule",
    ]
    assert len({len(row) for row in (titles, *rows[:4])}) == 1
    run(metrics, "--home", str(trained), "--json", "--cutoff", str(cutoff))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert next(line["model"] for line in lines) == "network"
    assert all(line["cutoff"] == str(cutoff) and "test_auc" in line for line in lines)
    with pytest.raises(DataError, match="nothing was trained as of 2019-01-01"):
        metrics.model_metrics(trained, date(2019, 1, 1))


def test_network_is_compared_with_each_baseline_on_the_same_customers(trained, cutoff):
    runs = latest_runs(trained, cutoff)
    ours = runs["network"].data.metrics
    for baseline in BASELINES:
        theirs = runs[baseline].data.metrics
        for metric, sign in (("auc", 1), ("brier", -1), ("normalised_gini", 1)):
            name = f"test_{metric}_gain_over_{baseline}"
            difference = sign * (ours[f"test_{metric}"] - theirs[f"test_{metric}"])
            assert ours[name] == pytest.approx(difference, abs=1e-12)
            assert ours[f"{name}_low"] < ours[name] < ours[f"{name}_high"]
        assert not any("gain_over" in metric for metric in theirs)
    lines = metrics.table(trained).splitlines()[-3:]
    assert [line.split(":")[0] for line in lines] == [
        f"network − {name}" for name in ("gradient_boosting", "logistic_regression", "recency_rule")
    ]
    assert lines[-1].endswith("]: the network is better")


def test_verdict_says_plainly_where_the_network_does_not_win():
    def line(gain, low, high):
        name = "test_auc_gain_over_trees"
        return metrics.verdicts({"network": {name: gain, f"{name}_low": low, f"{name}_high": high}, "trees": {}})

    assert line(-0.0017, -0.0054, 0.0025) == [
        "network − trees: AUC −0.0017 [−0.0054, +0.0025]: no difference shown, the network does not beat it"
    ]
    assert line(-0.01, -0.02, -0.001)[0].endswith("[−0.0200, −0.0010]: the network is worse")
    assert line(0.01, 0.001, 0.02)[0].endswith("[+0.0010, +0.0200]: the network is better")
    assert metrics.verdicts({"network": {"test_auc": 0.9}, "trees": {}}) == []


def test_a_version_describes_itself(trained, cutoff):
    found = latest_runs(trained, cutoff)["network"].data.metrics
    about = mlflow_for(trained).MlflowClient().get_model_version(MODEL_NAME, "1").description
    assert about.startswith(f"pets (simulated), test cutoff {cutoff}: AUC {found['test_auc']:.4f}, Brier ")
    assert f"{found['test_total_bias']:.4f}" in about


def test_without_champion_or_server_the_message_says_what_to_do(tmp_path, shop_home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(SetupError, match="no champion yet: run `python -m ml train"):
        resolve.resolve(date(2020, 7, 31), shop_home)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg://mlflow:secret@127.0.0.1:1/mlflow?connect_timeout=2")
    with pytest.raises(UnavailableError, match=r"does not answer at postgresql\+psycopg://mlflow:\*\*\*@127.0.0.1:1"):
        resolve.resolve(date(2020, 7, 31), shop_home)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(SetupError, match="jobs setup"):
        resolve.resolve(date(2020, 7, 31), tmp_path)


def test_registry_on_postgresql(warehouse_home, trained, cutoff):
    """MLflow's tables and our reading of them on the server that ships."""
    from ml.registry import register, required_champion
    from ml.tracking import artifact_root

    assert initialise(warehouse_home.path) == initialise(warehouse_home.path)
    experiment = mlflow_for(warehouse_home.path).MlflowClient().get_experiment(initialise(warehouse_home.path))
    assert experiment.artifact_location == artifact_root(warehouse_home.path)
    with pytest.raises(SetupError):
        required_champion(warehouse_home.path)
    model = next((trained / "mlflow" / "artifacts" / "models").iterdir()) / "artifacts"
    with mlflow_for(warehouse_home.path).start_run(experiment_id=experiment.experiment_id) as started:
        pass
    assert register(started.info.run_id, model.as_uri(), warehouse_home.path) == 1
    assert required_champion(warehouse_home.path) == 1


def test_no_row_is_written_twice(warehouse_home, tmp_path):
    """The database refuses a metric or a model that it holds, and says so in its log."""
    from sklearn.linear_model import LinearRegression

    from expectations.behaviour import FEATURE_NAMES
    from ml.registry import register
    from ml.tracking import Run, log_run

    server_log = warehouse_home.path / "postgres" / "server.log"
    before = len(server_log.read_bytes())
    model = LinearRegression().fit(np.eye(len(FEATURE_NAMES)), np.zeros((len(FEATURE_NAMES), 2)))
    params = {"data_digest": "0" * 64, "cutoff_test": "2020-07-28"}
    numbers = {"test_auc": 0.5, "test_total_bias": float("nan")}
    for _ in range(2):
        run = Run("line", {}, params, numbers, tmp_path, tmp_path, model, {"valid_loss": [2.0, 1.0]})
        run_id, uri = log_run(run, warehouse_home.path)
        register(run_id, uri, warehouse_home.path)
    assert b"duplicate key" not in server_log.read_bytes()[before:]
    client = mlflow_for(warehouse_home.path).MlflowClient()
    assert {"test_auc", "valid_loss"} <= client.get_run(run_id).data.metrics.keys()
    assert [point.value for point in client.get_metric_history(run_id, "valid_loss")] == [2.0, 1.0]
    kept = client.get_logged_model(uri.removeprefix("models:/")).metrics
    assert {metric.key for metric in kept} >= {"test_auc"}
