"""From runs to MLflow: the only place that imports mlflow."""
