"""The model registry: versions of the shipped model, and which one is champion.

A version's alias says what it is for: ``champion`` scores customers; ``challenger`` is the latest that was not better;
``previous`` was champion before.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from expectations.errors import DataError, SetupError
from ml.answering import connected, is_server, store_errors
from ml.home import HomePath, shop_name, tracking_uri
from ml.tracking import mlflow_for

MODEL_NAME = "lifestage_behaviour"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
Version = tuple[str, str | None]
"""The run that made it, and the address of its files where it is known without MLflow's client."""
# Metric of a run → its name in a version's description.
DESCRIBED = {
    "test_auc": "AUC",
    "test_brier": "Brier",
    "test_normalised_gini": "normalised Gini of spend",
    "test_total_bias": "bias of total spend",
}


def register(run_id: str, model_uri: str, home: HomePath = None) -> int:
    """The version of the run's model, made if it is missing. Aliases stay as they are."""
    from mlflow.exceptions import MlflowException

    client = mlflow_for(home).MlflowClient()
    if not client.search_registered_models(f"name = '{MODEL_NAME}'"):
        about = "Purchases, spend and churn by customer"
        try:
            client.create_registered_model(MODEL_NAME, description=about)
        except MlflowException as error:  # another training may have been first
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    version = version_of_run(run_id, home)
    if version is None:
        # A tracking server takes models:/ID only together with the ID.
        model_id = model_uri.removeprefix("models:/") if model_uri.startswith("models:/") else None
        about = describe(run_id, home)
        made = client.create_model_version(MODEL_NAME, model_uri, run_id, description=about, model_id=model_id)
        version = int(made.version)
    return version


def describe(run_id: str, home: HomePath = None) -> str:
    """Model, shop, test cutoff and main test metrics of a run, for who chooses between versions."""
    data = mlflow_for(home).MlflowClient().get_run(run_id).data
    shown = [f"{title} {data.metrics[name]:.4f}" for name, title in DESCRIBED.items() if name in data.metrics]
    model, cutoff = (data.tags.get(f"lifestage.{tag}", "unknown") for tag in ("model", "cutoff"))
    return f"{model} of {shop_name(home)}, test cutoff {cutoff}: {', '.join(shown)}"


def challenge(version: int, home: HomePath = None) -> None:
    """Makes ``version`` the challenger."""
    mlflow_for(home).MlflowClient().set_registered_model_alias(MODEL_NAME, CHALLENGER, str(version))


def version_of_run(run_id: str, home: HomePath = None) -> int | None:
    """The version made from that run's model."""
    found = mlflow_for(home).MlflowClient().search_model_versions(f"name = '{MODEL_NAME}' and run_id = '{run_id}'")
    return max((int(version.version) for version in found), default=None)


def run_of_version(name: str, version: int, home: HomePath = None) -> str:
    """The run that made a version; DataError with the versions there are if it is none of them."""
    return _version(name, version, home)[0]


def folder_of_version(name: str, version: int, home: HomePath = None) -> Path | None:
    """Where the files of a version lie on this machine; None if MLflow has to fetch them. DataError as above."""
    address = urlsplit(_version(name, version, home)[1] or "")
    return Path(unquote(address.path)) if address.scheme == "file" and not address.netloc else None


def _version(name: str, version: int, home: HomePath) -> Version:
    found = _versions_in_server(name, home) if is_server(tracking_uri(home)) else _versions_in_database(name, home)
    if version not in found:
        known = ", ".join(f"{name}/{number}" for number in sorted(found)) or "none; run `python -m ml train` first"
        raise DataError(f"no model {name}/{version} in the registry; there are: {known}")
    return found[version]


def _versions_in_server(name: str, home: HomePath) -> dict[int, Version]:
    with store_errors(home):
        found = mlflow_for(home).MlflowClient().search_model_versions(f"name = '{name}'")
    return {int(one.version): (one.run_id, None) for one in found}


def _versions_in_database(name: str, home: HomePath) -> dict[int, Version]:
    found = _asked(
        "model_versions", "select version, run_id, coalesce(storage_location, source) from model_versions "
        "where name = :name and current_stage <> 'Deleted_Internal'", {"name": name}, home,
    )  # fmt: skip
    return {version: (run_id, address) for version, run_id, address in found}


def promote(name: str, version: int, home: HomePath = None) -> int | None:
    """Makes ``version`` the champion; the version that was before, which ``previous`` remembers."""
    run_of_version(name, version, home)
    before = champion(home, name)
    with store_errors(home):
        client = mlflow_for(home).MlflowClient()
        if before is not None and before != version:
            client.set_registered_model_alias(name, PREVIOUS, str(before))
        client.set_registered_model_alias(name, CHAMPION, str(version))
        # Stores differ on whether a version is text or a number.
        if int(client.get_registered_model(name).aliases.get(CHALLENGER, 0)) == version:
            client.delete_registered_model_alias(name, CHALLENGER)
    return before


def previous(home: HomePath = None, name: str = MODEL_NAME) -> int:
    """The version that was champion before the champion; SetupError if there was none."""
    aliases = _aliases(name, home)
    if PREVIOUS not in aliases:
        raise SetupError(f"{name} has had no champion but the one it has: there is none to go back to")
    return int(aliases[PREVIOUS])


def champion(home: HomePath = None, name: str = MODEL_NAME) -> int | None:
    """The champion's version, None before the first training.

    As versions are, asked of MLflow's own table where the store is a database: importing the client takes seconds, this
    a fraction, and a daily run asks in three of its jobs.
    """
    if is_server(tracking_uri(home)):
        version = _aliases(name, home).get(CHAMPION)
        return None if version is None else int(version)
    return _champion_in_database(name, home)


def _aliases(name: str, home: HomePath) -> dict[str, str | int]:
    """Alias → version; none of a model that is not there."""
    with store_errors(home):
        client = mlflow_for(home).MlflowClient()
        from mlflow.exceptions import MlflowException

        try:
            return client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}


def _champion_in_database(name: str, home: HomePath) -> int | None:
    query = "select version from registered_model_aliases where name = :name and alias = :alias"
    found = _asked("registered_model_aliases", query, {"name": name, "alias": CHAMPION}, home)
    return found[0][0] if found else None


def _asked(table: str, query: str, values: dict[str, str], home: HomePath) -> list[tuple]:
    """Rows of MLflow's own database; none before its tables are made."""
    from sqlalchemy import inspect, text

    with connected(home) as connection:
        return connection.execute(text(query), values).all() if inspect(connection).has_table(table) else []


def required_champion(home: HomePath = None) -> int:
    """The champion's version; SetupError that says how to get one if there is none."""
    version = champion(home)
    if version is None:
        raise SetupError(f"{MODEL_NAME} has no champion yet: run `python -m ml train --cutoff D` first")
    return version
