"""What is known of the code from which a training was started: its commit, and what is beyond."""

import os
import subprocess
from pathlib import Path

from unroll.errors import first_line, without_secrets
from unroll.runs.circumstances import Source

KEEP = "UNROLL_KEEP_DIFF"
LARGEST_DIFF = 1_000_000  # bytes
LARGEST_FILE = 1_000_000  # bytes of a file in it: git makes a difference in memory

# A diff that can be applied, whatever the user has set for reading diffs.
DIFF = (
    "--binary",
    "--unified=3",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


# What is kept of the working copy can be read by all who read the runs: files that hold secrets by
# their names are left out, and passwords in addresses.
SECRETS = (
    "*.env",
    ".env*",
    ".netrc",
    ".pgpass",
    ".pypirc",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_*",
    "*api*key*",
    "*credential*",
    "*passwd*",
    "*password*",
    "*secret*",
    "*token*",
)


def look(command: str, sources: str) -> tuple[Source, bytes]:
    """Return what is known of the code in the working copy, with its uncommitted changes.

    `sources` is the digest of src/unroll. What runs leave (reports, data, dvc.lock) is no change of
    the code. Where the environment says `UNROLL_KEEP_DIFF=no`, it is known that there are changes,
    and not which.
    """
    stage, experiment = (os.environ.get(name) for name in ("DVC_STAGE", "DVC_EXP_NAME"))
    commit = _git("rev-parse", "HEAD").decode().strip() or None
    diff = _uncommitted() if commit is not None else b""
    diff = without_secrets(diff.decode("latin-1")).encode("latin-1")  # each byte as it is
    dirty = bool(diff)
    if os.environ.get(KEEP) == "no":
        diff = b""
    if len(diff) > LARGEST_DIFF:
        diff = diff[:LARGEST_DIFF] + f"\n[cut: {len(diff):,} bytes in all]\n".encode()
    source = Source(
        command=command,
        stage=stage,
        experiment=experiment,
        commit=commit,
        folder=_git("rev-parse", "--show-prefix").decode().strip(),
        dirty=dirty,
        sources=[sources],
    )
    return source, diff


def refusal() -> str | None:
    """Return what git says where it does not read the checkout that we are in; None where it does.

    That of another owner it refuses, and says how to allow it.
    """
    here = Path.cwd()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return None
    try:
        done = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return first_line(error)
    return " ".join(done.stderr.decode(errors="replace").split()) if done.returncode else None


def _uncommitted() -> bytes:
    """Return the difference of the working copy to its commit."""
    code = [
        ":(exclude)reports",
        ":(exclude)data",
        ":(exclude).dvc/config",
        ":(exclude,glob)**/dvc.lock",
    ]
    code += [f":(exclude,glob,icase)**/{name}{under}" for name in SECRETS for under in ("", "/**")]
    changed = _names("diff", "--name-only", "--relative", "HEAD", "--", ".", *code)
    new = _names("ls-files", "--others", "--exclude-standard", "--", ".", *code)
    large = [name for name in (*changed, *new) if _size(Path(name)) > LARGEST_FILE]
    code += [f":(exclude,literal){name}" for name in large]
    diff = _git("diff", *DIFF, "--relative", "HEAD", "--", ".", *code)
    for name in new:
        if name not in large:
            diff += _git("diff", *DIFF, "--no-index", "--", os.devnull, name)
    return diff + b"".join(os.fsencode(f"[left out, too large: {name}]\n") for name in large)


def _size(path: Path) -> int:
    return path.lstat().st_size if path.is_file() else 0


def _names(*arguments: str) -> list[str]:
    """Return the names of files that git lists."""
    command, *rest = arguments
    return [os.fsdecode(name) for name in _git(command, "-z", *rest).split(b"\0") if name]


def _git(*arguments: str) -> bytes:
    """Return what git prints; nothing where there is no git, no checkout, or an error."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return b""
    # `diff --no-index` ends with 1 where files differ.
    fine = (0, 1) if "--no-index" in arguments else (0,)
    return done.stdout if done.returncode in fine else b""
