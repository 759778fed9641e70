"""A saved model as MLflow serves it: rows of features in, columns of scores out. MLflow stores and runs this file."""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class ServedModel(PythonModel):
    """Needs this project on the Python path; ``params["home"]`` is the shop's, for models that read sequences."""

    def load_context(self, context: PythonModelContext) -> None:
        from ml.predict import Predictor
        from ml.saved import load_lifetime, load_model

        folder = Path(context.artifacts["saved"])
        self.predictor = Predictor("this model", *load_model(folder, "this model"), load_lifetime(folder))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, object] | None = None
    ) -> pd.DataFrame:
        """One row a customer, in order. All rows are as of the first row's snapshot_date."""
        cutoff = pd.Timestamp(model_input["snapshot_date"].iloc[0]).date()
        return self.predictor.score(model_input, cutoff, (params or {}).get("home") or None).to_pandas()


mlflow.models.set_model(ServedModel())
