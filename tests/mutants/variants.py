"""Variants that use all that there is: each option stands here with each of its values."""

from typing import Any

from mutants.house import Asked

COMMON: dict[str, Any] = {
    "task": "toy",
    "seeds": [0],
    "cell": "lstm",
    "embedding_size": 4,
    "hidden_size": 4,
    "init": "default",
    "epochs": 2,
    "batch_size": 4,
    "optimizer": "adam",
    "learning_rate": 0.01,
}
BOOK = {"init": "book", "optimizer": "sgd", "learning_rate": 20.0, "clip": 0.25}
MODERN = {
    "layers": 2,
    "dropout": 0.3,
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "schedule": "one_cycle",
    "clip": 1.0,
}

PAIRS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gru": {"cell": "gru", "layers": 2},
    "rnn": {"cell": "rnn", "bridge": "state"},
    "state": {"bridge": "state"},
    "book": BOOK,
    "modern": {**MODERN, "bridge": "state", "padding": "masked"},
    "reversed": {"reverse_source": True},
    "masked": {"padding": "masked"},
    "masked-reversed": {"padding": "masked", "reverse_source": True},
    "both-ways": {"bidirectional": True},
    "peeky": {"decoder": "peeky"},
    "attention": {"decoder": "attention"},
    "attention-modern": {
        **MODERN,
        "decoder": "attention",
        "bridge": "state",
        "padding": "masked",
        "reverse_source": True,
        "bidirectional": True,
    },
    "input-feeding": {
        "decoder": "input_feeding",
        "attention": "additive",
        "padding": "masked",
        "dropout": 0.3,
    },
    "general": {"decoder": "attention", "attention": "general", "attention_query": "before"},
    "in-step": {"decoder": "in_step", "padding": "masked"},
    "keras": {
        "embedding": "one_hot",
        "optimizer": "rmsprop",
        "loss": "sequence",
        "label_smoothing": 0.1,
        "with_replacement": True,
    },
    "own-steps": {"teacher_forcing": 0.5, "padding": "masked"},
    "own-sequences": {"teacher_forcing": 0.5, "teacher_forcing_by": "sequence"},
    "twice": {"double_source": True, "decoder": "attention", "padding": "masked"},
    "twice-plain": {"double_source": True, "reverse_source": True},
    "small": {"init": "small"},
    "hardest": {"curriculum": "hardest"},
    "naive": {"curriculum": "naive"},
    "mixed": {"curriculum": "mixed"},
    "combined": {"curriculum": "combined", "padding": "masked"},
    "pairs-muon": {"optimizer": "muon", "schedule": "cosine", "keep": "best"},
    "pairs-averaged": {"schedule": "on_plateau", "keep": "average", "averaged_epochs": 1},
    "pairs-patient": {"keep": "average_on_plateau"},
}
REPLIES: dict[str, dict[str, Any]] = {
    "replies": {"padding": "masked"},
    "replies-attention": {"padding": "masked", "decoder": "attention", "bridge": "state"},
}
CAPTIONS: dict[str, dict[str, Any]] = {
    "seen": {"padding": "masked"},
    "seen-book": {**BOOK, "cell": "gru"},
    "seen-peeky": {"padding": "masked", "decoder": "peeky", "bridge": "state"},
    "seen-modern": {**MODERN, "decoder": "attention", "bridge": "state", "padding": "masked"},
    "seen-pretrained": {"encoder": "pretrained", "decoder": "attention"},
}
LABELS: dict[str, dict[str, Any]] = {
    "last": {},
    "last-keras": {"embedding": "one_hot", "optimizer": "rmsprop"},
    "last-twice": {"double_source": True, "init": "small"},
    "last-rnn": {**BOOK, "cell": "rnn"},
    "last-muon": {"optimizer": "muon", "schedule": "cosine", "keep": "best"},
    "last-averaged": {"schedule": "on_plateau", "keep": "average", "averaged_epochs": 1},
    "last-patient": {"keep": "average_on_plateau"},
    "greatest": {"pooling": "max", "padding": "masked"},
    "greatest-plain": {"pooling": "max"},
    "pooled": {"pooling": "attention", "cell": "gru"},
    "last-modern": {**MODERN, "padding": "masked", "bidirectional": True},
    "pooled-masked": {"pooling": "attention", "padding": "masked", "reverse_source": True},
}
CORPUS: dict[str, dict[str, Any]] = {
    "words": {},
    "words-keras": {"optimizer": "rmsprop"},
    "words-book": BOOK,
    "words-rnn": {"cell": "rnn"},
    "words-gru": {"cell": "gru", "layers": 2, "dropout": 0.3},
    "tied": {"tie_weights": True},
    "tied-book": {**BOOK, "tie_weights": True},
    "skipping": {"layers": 3, "skip_connections": True, "init": "small"},
    "variational": {"dropout": 0.3, "variational_dropout": True, "layers": 2},
    "words-modern": {
        **MODERN,
        "tie_weights": True,
        "skip_connections": True,
        "variational_dropout": True,
    },
    "awd": {
        "optimizer": "sgd",
        "dropout": 0.2,
        "variational_dropout": True,
        "input_dropout": 0.4,
        "output_dropout": 0.3,
        "embedding_dropout": 0.1,
        "weight_drop": 0.5,
        "activation_penalty": 2.0,
        "slowness_penalty": 1.0,
        "random_time_steps": True,
        "keep": "average_on_plateau",
    },
    "mogrified": {"mogrifier_rounds": 3, "keep": "average", "averaged_epochs": 1},
    "mixed-softmaxes": {"softmaxes": 3, "tie_weights": True, "keep": "best"},
    "side-by-side": {"evaluation_batch_size": 3, "layers": 2},
    "muon": {"optimizer": "muon", "layers": 2, "schedule": "cosine", "weight_decay": 0.1},
    "plateau": {**BOOK, "schedule": "on_plateau", "keep": "best"},
}

# By name: the kind, and all options.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (kind, {**COMMON, **common, **changes})
    for kind, common, variants in (
        ("pairs", {}, PAIRS),
        ("replies", {}, REPLIES),
        ("captions", {}, CAPTIONS),
        ("labels", {}, LABELS),
        ("corpus", {"time_steps": 5}, CORPUS),
    )
    for name, changes in variants.items()
}


def asked(stage: str, *names: str) -> list[Asked]:
    """Return the questions for the plans of a stage: of these variants, or of all."""
    found = {name: VARIANTS[name] for name in names or VARIANTS}
    return [Asked(f"{stage}/{name}", stage, kind, of) for name, (kind, of) in found.items()]
