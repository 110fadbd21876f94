from __future__ import annotations

import re

import pytest

from bertwright.errors import SettingsError
from bertwright.recipes.laddering.rungs import chosen_rungs


def test_the_rungs_are_those_that_the_texts_allow_in_the_order_of_the_climb() -> None:
    assert chosen_rungs(None, field=True) == ("general", "field", "task", "field+task")
    assert chosen_rungs(None, field=False) == ("general", "task")
    assert chosen_rungs(["field+task", "general", "general"], field=True) == ("general", "field+task")


@pytest.mark.parametrize(
    ("names", "field", "message"),
    [
        (["field", "task"], True, "`--rungs` lacks `general`, against which the others are measured; name it too"),
        (["general"], True, "a ladder of one rung shows no gain; name more of general, field, task, field+task"),
        (["general", "field+task"], False, "the rung `field+task` needs a field's text; name it with --field"),
    ],
)
def test_rungs_that_make_no_ladder_are_refused(names: list[str], field: bool, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        chosen_rungs(names, field=field)
