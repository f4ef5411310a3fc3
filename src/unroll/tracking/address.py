"""Where MLflow is."""

import os
from pathlib import Path

from unroll.errors import without_secrets


def project_root() -> Path:
    """Return the project's root; DVC names it, also where it runs a copy (dvc exp run --temp)."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or the database at the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_root()}/mlflow.db"


def shown_uri() -> str:
    """Return the address without what must not be shown: user, password, tokens."""
    return without_secrets(tracking_uri())


def artifacts_root() -> Path | None:
    """Return where files are kept; None where a server decides it."""
    return project_root() / "mlruns" if tracking_uri().startswith("sqlite:") else None
