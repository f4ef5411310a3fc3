"""Where MLflow is."""

import os
from pathlib import Path

from unroll.errors import UserError, without_secrets

VARIABLE = "MLFLOW_TRACKING_URI"
SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def project_root() -> Path:
    """Return the project's root; DVC names it where it runs a copy (dvc exp run --temp).

    What another project has left in the environment does not count: it lies elsewhere.
    """
    here, named = Path.cwd(), os.environ.get("DVC_ROOT")
    root = Path(named).resolve() if named else here
    return root if root in (here, *here.parents) else here


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or the database at the project's root.

    A database whose file is given by a relative path lies in the project, wherever DVC runs a copy.

    Raises:
        UserError: it is no address of a server or a database, or a path that SQLite's cannot hold.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return _of_file(project_root() / "mlflow.db")
    if named.split("://")[0] in SERVERS:
        return named
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(named)
    except ArgumentError:
        address = None
    if address is None or address.get_backend_name() not in DATABASES:
        raise UserError(
            f"{VARIABLE}: {without_secrets(named)} is no address of a server or a database; give "
            "http://…, postgresql://…, mysql://… or sqlite:///mlflow.db, or take it out of the "
            "environment (MLflow keeps runs in folders no more)"
        )
    if address.get_backend_name() != "sqlite" or not address.database or address.query:
        return named
    path = Path(address.database)
    return named if path.is_absolute() else _of_file(project_root() / path)


def _of_file(path: Path) -> str:
    if unfit := next((symbol for symbol in "?#" if symbol in str(path)), None):
        raise UserError(
            f"{path}: an address of SQLite is cut at {unfit!r}; rename the folder, or name another "
            f"database with {VARIABLE}"
        )
    return f"sqlite:///{path}"


def database_file() -> Path | None:
    """Return the file of SQLite's database; None where runs are kept by a server."""
    uri = tracking_uri()
    if not uri.startswith("sqlite:///") or "?" in uri:
        return None
    return Path(uri.removeprefix("sqlite:///"))


def shown_uri() -> str:
    """Return the address without what must not be shown: user, password, tokens."""
    try:
        return without_secrets(tracking_uri())
    except UserError:  # who uses it is told why
        return VARIABLE


def artifacts_root() -> Path | None:
    """Return where files are kept; None where a server decides it."""
    return project_root() / "mlruns" if tracking_uri().startswith("sqlite:") else None
