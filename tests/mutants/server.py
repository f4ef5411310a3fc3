"""Computes plans by copies of the sources, a forked process for each: PyTorch is imported once.

It reads questions from its standard input and writes answers, a line of JSON each. It has all
that the plans import but `unroll` itself, which every fork takes from the copy it is told.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = int(sys.argv[1])  # of computing: a mutant may come to no end


def main() -> None:
    """Answer until nobody asks any more."""
    sys.dont_write_bytecode = True
    os.fsync = lambda *_: None  # type: ignore[assignment] - nothing here must outlast a power cut
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a mutant prints is no answer
    for line in sys.stdin:
        question = json.loads(line)
        if "warm" in question:
            found = in_fork(modules, question["warm"])
            for name in found.get("modules", []):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        else:
            found = in_fork(lines if question.get("lines") else plans, question)
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def in_fork(do: Callable[[Any], dict[str, Any]], question: Any) -> dict[str, Any]:
    """Return what a fork of this process found."""
    gc.freeze()  # what a fork does not touch need not be copied
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.close(reads)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        try:
            found = do(question)
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            found = {"crash": f"{type(error).__name__}: {str(error)[:200]} ({place})"}
        with os.fdopen(writes, "w") as file:
            file.write(json.dumps(found))
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        end = "it came to no end" if os.WTERMSIG(status) == signal.SIGXCPU else f"status {status}"
        return {"crash": end}
    return dict(json.loads(text))


def plans(question: dict[str, Any]) -> dict[str, Any]:
    """Return the digests of the plans that are asked for, by their names.

    Where it is known what they should be, the first other behaviour ends it.
    """
    compute = prepare(question["sources"])
    known, found = question.get("known", {}), {}
    for name, stage, kind, options in question["plans"]:
        found[name] = compute(stage, kind, options)
        if name in known and found[name]["behaviour"] != known[name]["behaviour"]:
            return {"plans": found, "changed": name}
    return {"plans": found}


def prepare(sources: str) -> Callable[[str, str, dict[str, Any]], dict[str, str]]:
    """Import `unroll` from a folder; return what computes the digests of a plan."""
    sys.path.insert(0, sources)
    import unroll

    if not (unroll.__file__ or "").startswith(sources):
        raise RuntimeError(f"{unroll.__file__} is not of {sources}")
    from unroll import tasks
    from unroll.evaluation.methods import METHODS
    from unroll.options import OPTIONS, Compute, Generate, Scoring
    from unroll.plans.evaluation import evaluation_plan, writing_plan
    from unroll.plans.plan import plan_digest
    from unroll.plans.training import MACHINE, training_plan

    MACHINE.prepare_process()
    generate = Generate(prompts=["a"], length=5, top_k=2, top_p=0.9, skip=["a"])
    more = {"corpus": {"source": "grammar"}}
    task_of = {"pairs": "addition", "corpus": "text", "labels": "brackets"}

    scoring = {"evaluate_methods": Scoring(methods=list(METHODS))}

    def compute(stage: str, kind: str, given: dict[str, Any]) -> dict[str, str]:
        options = OPTIONS[kind].model_validate(given)
        if stage == "train":
            plan = training_plan(options, Compute())
        elif stage.startswith("evaluate"):
            name = "translation" if stage == "evaluate_texts" else task_of[kind]
            found = tasks.named(name)
            task = found(found.Options.model_validate({"kind": name, **more.get(kind, {})}))
            plan = evaluation_plan(options, Compute(), task, scoring.get(stage, Scoring()))
        else:
            plan = writing_plan(options, generate)
        whole = plan_digest(plan)
        return {"behaviour": plan_digest({"behaviour": plan["behaviour"]}), "plan": whole}

    return compute


def lines(question: dict[str, Any]) -> dict[str, Any]:
    """Return the digests of plans, and which lines of which source files made them."""
    folder = f"{question['sources']}/unroll/"
    ran: dict[str, set[int]] = {}

    def enter(frame: FrameType, event: str, _: object) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(folder):
            return None
        seen = ran.setdefault(name.removeprefix(folder), set())

        def note(frame: FrameType, event: str, _: object) -> Any:
            seen.add(frame.f_lineno)
            return note

        return note(frame, event, None)

    sys.settrace(enter)
    found = plans(question)
    sys.settrace(None)
    return {**found, "lines": {name: sorted(numbers) for name, numbers in ran.items()}}


def modules(question: dict[str, Any]) -> dict[str, Any]:
    """Return which modules the plans need."""
    plans(question)
    names = [name for name in sys.modules if name.partition(".")[0] != "unroll"]
    return {"modules": [name for name in names if not name.startswith("__")]}


if __name__ == "__main__":
    main()
