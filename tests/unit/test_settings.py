from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError, model_validator

from bertwright.errors import SettingsError
from bertwright.settings import Settings


class Training(Settings):
    steps: int = Field(ge=1)
    rate: float = 1e-3
    precision: str = "fp32"

    @model_validator(mode="after")
    def _rate_fits(self) -> Training:
        if self.rate > 1:
            raise ValueError("`rate` above 1 never ends well")
        return self


class Recipe(Settings):
    name: str
    seed: int = 0
    sizes: list[int] = Field(default_factory=list)
    training: Training


GOOD = """
name = "tiny"
seed = 3

[training]
steps = 10
rate = 0.5
"""


def fault(text: str, overrides: list[str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        Recipe.from_toml(text, where="r.toml", overrides=overrides)
    return str(caught.value)


def test_settings_are_read_from_toml_and_frozen() -> None:
    recipe = Recipe.from_toml(GOOD)
    assert recipe == Recipe(name="tiny", seed=3, training=Training(steps=10, rate=0.5))
    with pytest.raises(ValidationError, match="frozen"):
        recipe.seed = 4


def test_an_override_has_the_type_that_toml_would_give_it() -> None:
    overrides = ["training.steps=20", "seed = 7", "training.rate=1e-4", "sizes=[1, 2]", "name=other", 'name="more"']
    recipe = Recipe.from_toml(GOOD, overrides=overrides)
    assert recipe == Recipe(name="more", seed=7, sizes=[1, 2], training=Training(steps=20, rate=1e-4))
    assert Recipe.from_toml(GOOD, overrides=["training.precision=bf16"]).training.precision == "bf16"
    assert Recipe.from_toml(GOOD).replaced(["seed=9"]).seed == 9


def test_every_fault_is_named_at_once_with_its_line_and_key() -> None:
    text = GOOD.replace("seed", "sed").replace("10", '"ten"') + "wrmup = 5\n"
    assert fault(text).splitlines() == [
        "r.toml:6: `training.steps` is 'ten', but should be a valid integer",
        "r.toml:8: `training.wrmup` is no setting; known here: steps, rate, precision",
        "r.toml:3: `sed` is no setting; did you mean `seed`?",
    ]


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("name = 'a'", None, "r.toml: `training` is missing"),
        (GOOD.replace("steps = 10", "steps = 0"), None, "should be greater than or equal to 1"),
        (
            GOOD,
            ["training.steps=0"],
            "--set training.steps: `training.steps` is 0, but should be greater than or equal",
        ),
        (GOOD, ["training.stps=1"], "--set training.stps: `training.stps` is no setting; did you mean `steps`?"),
        (GOOD, ["training"], "`--set training` is not of the form key=value; as in --set training.steps=100"),
        (GOOD, ["=1"], "`--set =1` is not of the form key=value"),
        (GOOD, ["name.first=1"], "--set name.first: `name` is a value, not a table"),
        (GOOD, ["training.rate=2.0"], "r.toml:5: `training`: `rate` above 1 never ends well"),
        (GOOD, ["training.rate=nan"], "--set training.rate: `training.rate` is nan, but should be a finite number"),
        (GOOD, ["seed=1.5"], "--set seed: `seed` is 1.5, but should be a valid integer"),
        ("name =", None, "r.toml: this is no TOML: Invalid value (at end of document); see https://toml.io"),
    ],
)
def test_a_fault_says_where_and_what(text: str, overrides: list[str] | None, message: str) -> None:
    assert message in fault(text, overrides)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Recipe.from_file(tmp_path / "no.toml")
    assert str(caught.value) == f"{tmp_path / 'no.toml'}: cannot be read: No such file or directory"
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(SettingsError) as caught:
        Recipe.from_file(tmp_path / "latin.toml")
    assert str(caught.value) == f"{tmp_path / 'latin.toml'}: is not UTF-8 text; save it as UTF-8"
    (tmp_path / "good.toml").write_text(GOOD)
    assert Recipe.from_file(tmp_path / "good.toml", ["seed=8"]).seed == 8
