"""The rungs of a ladder: what a model is adapted to before it is fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence

from bertwright.errors import SettingsError

# In the order of the climb; all are measured against the first.
GENERAL, FIELD, TASK, BOTH = RUNGS = ("general", "field", "task", "field+task")


def chosen_rungs(wanted: Sequence[str] | None, *, field: bool) -> tuple[str, ...]:
    """The rungs in their order: those wanted, else all that the texts allow; `field`: whether there is a field's text.

    Raises SettingsError.
    """
    names = wanted or [name for name in RUNGS if field or name in (GENERAL, TASK)]
    for name in names:
        if name not in RUNGS:
            raise SettingsError(f"`--rungs` names {name!r}", cure=f"rungs are {', '.join(RUNGS)}")
    chosen = tuple(name for name in RUNGS if name in names)
    if GENERAL not in chosen:
        raise SettingsError(f"`--rungs` lacks `{GENERAL}`, against which the others are measured", cure="name it too")
    if len(chosen) < 2:
        raise SettingsError("a ladder of one rung shows no gain", cure=f"name more of {', '.join(RUNGS)}")
    of_field = [name for name in chosen if name in (FIELD, BOTH)]
    if of_field and not field:
        raise SettingsError(f"the rung `{of_field[0]}` needs a field's text", cure="name it with --field")
    if field and not of_field:
        what = f"`--field` is given, but none of the rungs {', '.join(chosen)} reads it"
        raise SettingsError(what, cure=f"name {FIELD} or {BOTH} in --rungs, or leave --field out")
    return chosen
