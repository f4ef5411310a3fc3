"""Models that were trained elsewhere: each is a run of its own, in a folder that no stage writes.

    data/imported/NAME/models, circumstances, evaluation

hold what a variant of the study has in three places, with the one seed 0. What is not known of such
a run is how it was trained: where others have the digest of a plan it has that of the file from
which it comes, and the only epoch of its history is what it scores on validation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from unroll.errors import remedy
from unroll.options import VariantOptions
from unroll.runs.record import Record, read_record, seed_folder
from unroll.storage.folders import MANIFEST
from unroll.study import Study

SEED = 0
FILE, SHA256 = "imported_file", "imported_sha256"  # in the environment of its record

# Options that say what a model computes: those of its training are not known.
OF_MODEL = frozenset(
    {
        *("task", "cell", "layers", "embedding_size", "hidden_size"),
        *("tie_weights", "skip_connections"),
        *("decoder", "attention", "attention_query", "bridge"),
        *("reverse_source", "double_source", "bidirectional", "padding", "embedding"),
    }
)


@dataclass(frozen=True)
class Imported(Study):
    """An imported model, as the only variant of the study for whose task it is."""

    place: Path  # the folder of all that is known of it

    def rerun(self, stage: str) -> str:
        """Return what to type where its files are missing or damaged."""
        if stage.startswith("prepare@"):
            return super().rerun(stage)
        return _again(self.place)

    def model(self, variant: str) -> Path:
        """The folder of its record."""
        return self.place / "models"

    def circumstances(self, variant: str) -> Path:
        """The folder of when and with what it was imported."""
        return self.place / "circumstances"

    def evaluation(self, variant: str) -> Path:
        """The folder of its scores."""
        return self.place / "evaluation"

    def generated(self, variant: str) -> Path:
        """Where it would have written, if it were asked to."""
        return self.place / "generated"

    def metrics(self, variant: str) -> Path:
        """The file of its metrics."""
        return self.place / "metrics.json"


def imported(study: Study, name: str, options: VariantOptions, place: Path) -> Imported:
    """Return an imported model of a study, whose files lie in `place`."""
    held = {field.name: getattr(study, field.name) for field in fields(Study)}
    return Imported(**{**held, "variants": {name: options}}, place=place)


def place_of(study: Study, name: str) -> Path:
    """Return the folder of an imported model."""
    return study.data / "imported" / name


def all_imported(study: Study) -> list[Imported]:
    """Return the imported models of a study, by name.

    Left out are those of a task that is gone, and those whose name a variant has been given since.

    Raises:
        DataError: a record is damaged.
    """
    found = []
    for manifest in sorted(place_of(study, "").glob(f"*/models/seed-{SEED}/{MANIFEST}")):
        place = manifest.parents[2]
        with remedy(_again(place)):
            record = read_record(seed_folder(place / "models", SEED))
        if record.options.task in study.tasks and place.name not in study.variants:
            found.append(imported(study, place.name, record.options, place))
    return found


def _again(place: Path) -> str:
    return f"import it again with --replace, or remove {place}"


def origin_of(record: Record) -> Mapping[str, str]:
    """Return name and SHA-256 of the file from which a model comes; nothing: it was trained."""
    held = {"imported.file": FILE, "imported.sha256": SHA256}
    environment = record.environment
    return {tag: str(environment[key]) for tag, key in held.items() if key in environment}
