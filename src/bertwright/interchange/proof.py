"""The proof that a model says in its new form what it said before, and of fewer bits what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from bertwright.checkpoints.graphs import FORM_OF
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.checkpoints.sentence_layout import read_sentence_layout
from bertwright.errors import ModelError
from bertwright.inference.engines.engine import Engine
from bertwright.inference.engines.plain import PlainEngine
from bertwright.interchange.check import compare_engines, report
from bertwright.interchange.forms import Form, read_form
from bertwright.interchange.int8_rows import Calibration, scores_of
from bertwright.interchange.opening import open_engine
from bertwright.interchange.parity import Parity
from bertwright.interchange.texts import TEXTS
from bertwright.progress import Progress, Silent

# How far apart the same model may be in two forms. Weights that are only copied lie elsewhere in memory, by which a
# product may differ in its last bit.
_COPIED, _COMPUTED = 1e-5, 1e-4


@dataclass(frozen=True, slots=True)
class Proof:
    """How far a form is from its model, and both ready to run."""

    parity: Parity
    model: Engine
    form: Engine


def refuse_unlike(
    path: Path,
    to: Form,
    loaded: LoadedModel,
    form: Form,
    calibration: Calibration | None,
    *,
    exact: bool,
    progress: Progress,
) -> Proof:
    """How far what lies at `path` in the form `to` is from the model, read from `form`; the table is told.

    exact: whether it has all its bits, and must say the same. Raises ModelError where it does not.
    """
    one, other = PlainEngine(loaded, form=form), open_engine(path, trusted=True, progress=Silent())
    tolerance = _COPIED if to not in FORM_OF.values() else _COMPUTED if exact else inf
    texts = calibration.texts if calibration and calibration.texts else list(TEXTS)
    found = compare_engines(one, other, texts, tolerance, progress)
    for line in report(found):
        progress.say(line)
    if not (found.passed and _described_alike(path, to, loaded, found)):
        raise ModelError(f"does not say the same as {to}, so nothing was written", where=loaded.path)
    return Proof(found, one, other)


def cost_of(proof: Proof, calibration: Calibration | None, progress: Progress) -> dict[str, Any]:
    """What fewer bits cost: predictions alike, and on labelled rows that were kept aside the scores before and after.

    The scores are told. proof: as `refuse_unlike` gives it.
    """
    measured: dict[str, Any] = {
        "alike": {each.name: each.agreement for each in proof.parity.differences if each.agreement is not None}
    }
    if calibration and calibration.labelled:
        before, after = (scores_of(engine, calibration) for engine in (proof.model, proof.form))
        rows = len(calibration.labelled[1])
        told = ", ".join(f"{name} {before[name]:.4f} -> {after[name]:.4f}" for name in before)
        progress.say(f"on {rows:,} rows kept aside, before and after: {told}")
        measured |= {"rows": rows, "scores": {name: [before[name], after[name]] for name in before}}
    return measured


def _described_alike(path: Path, to: Form, loaded: LoadedModel, found: Parity) -> bool:
    """Whether what was written says the same of itself as the model: its task, its labels, how text is read."""
    if to in ("hf", "google"):
        again = read_form(path, progress=Silent())
        ours, theirs = ((each.task, each.labels, each.tokenizer.identity()) for each in (loaded, again))
        return ours == theirs and not found.alone
    if to == "sentence-transformers":
        # Without bertwright.json, as others read it.
        layout = read_sentence_layout(path)
        told = {name: loaded.record.get(name) for name in ("task", "pooling", "normalize", "max_length")}
        return layout is not None and layout.record == {name: value for name, value in told.items() if value}
    return True
