"""How MLflow shows an experiment: by which metric, and a view of its variants that a link opens."""

import json
from collections.abc import Mapping

from unroll.options import resolved
from unroll.study import Study
from unroll.tracking.descriptions import describe_experiment
from unroll.tracking.state import DESCRIPTION, NOTE, digest_of, in_sections

VIEW = "variants"  # the name of the view in its address
UNTOLD = {"seeds"}  # options that are no columns


def experiment_tags(study: Study, task: str, experiment: str) -> dict[str, str]:
    """Return the tags of a task's experiment, which has this id."""
    address = f"#/experiments/{experiment}/runs?viewStateShareKey={VIEW}"
    note = describe_experiment(study, task, address)
    variants = study.variants_of(task)
    kind = study.kind_of(next(iter(variants)))
    deciding = in_sections(kind.deciding)
    options = [resolved(options) for options in variants.values()]
    view = _view(deciding, not kind.main.higher_is_better, _differing(options))
    return {
        DESCRIPTION: note,
        NOTE: digest_of(note),
        "mlflow.experimentKind": "custom_model_development",  # those of training, not of agents
        "mlflow.experiment.primaryMetric.name": deciding,
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view),
    }


def _differing(options: list[dict[str, object]]) -> list[str]:
    """Return the names of options that variants do not have in common."""
    names = dict.fromkeys(name for of in options for name in of if name not in UNTOLD)
    return [name for name in names if len({repr(of.get(name)) for of in options}) > 1]


def _view(metric: str, ascending: bool, params: list[str]) -> Mapping[str, object]:
    """Return the runs page with the variants alone, best first, and the options that differ."""
    ordered_by = f"metrics.`{metric}`"
    return {
        "searchFilter": "tags.`unroll.level` = 'variant'",
        "orderByKey": ordered_by,
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [
            ordered_by,
            f"metrics.`{metric}_std`",
            *(f"params.`{name}`" for name in params),
            "params.`parameters`",
        ],
        "columnOrder": [],
        "columnWidths": {},
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {
            "xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""
        },
    }  # fmt: skip
