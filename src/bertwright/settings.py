"""Frozen, keyword-only settings, read from TOML and from `--set key=value`.

Every fault of a file is reported at once, each with its line and key: people fix a file in one go or not at all.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bertwright.errors import SettingsError


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused, no silent conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_toml(cls, text: str, *, where: str = "settings", overrides: list[str] | None = None) -> Self:
        """Read settings from TOML `text`, then apply `overrides` such as `training.steps=100`.

        Raises SettingsError that names every fault, one a line.
        """
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"this is no TOML: {error}", where=where, cure="see https://toml.io") from None
        return cls._overridden(values, overrides or [], where=where, text=text)

    @classmethod
    def from_file(cls, path: Path, overrides: list[str] | None = None) -> Self:
        """Read settings from a TOML file. Raises SettingsError."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"cannot be read: {error.strerror}", where=path) from None
        except UnicodeDecodeError:
            raise SettingsError("is not UTF-8 text", where=path, cure="save it as UTF-8") from None
        return cls.from_toml(text, where=str(path), overrides=overrides)

    @classmethod
    def from_values(
        cls,
        values: dict[str, Any],
        *,
        where: str = "settings",
        text: str = "",
        origin: dict[str, str] | None = None,
    ) -> Self:
        """Check plain values against these settings; raises SettingsError with every fault."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            faults = []
            for fault in error.errors():
                key = ".".join(str(part) for part in fault["loc"])
                line = _line_of(text, key)
                given = origin or {}
                place = given.get(key) or (f"{where}:{line}" if line else given.get(f"{key}.*", where))
                faults.append(f"{place}: {_describe(cls, key, fault)}")
            raise SettingsError("\n".join(faults)) from None

    def replaced(self, overrides: list[str], *, option: str = "--set") -> Self:
        """The same settings with `key=value` overrides applied; raises SettingsError, which names the `option`."""
        return self._overridden(self.model_dump(), overrides, option=option)

    @classmethod
    def _overridden(
        cls,
        values: dict[str, Any],
        overrides: list[str],
        *,
        where: str = "settings",
        text: str = "",
        option: str = "--set",
    ) -> Self:
        origin: dict[str, str] = {}
        faults: list[str] = []
        for override in overrides:
            try:
                key, value = _parse_override(override, option)
                _put(values, key, value, option)
                origin[key] = f"{option} {key}"
                # A table that is no setting is refused by its own name.
                for depth in range(1, key.count(".") + 1):
                    origin[key.rsplit(".", depth)[0] + ".*"] = f"{option} {key}"
            except SettingsError as fault:
                faults.append(str(fault))
        try:
            found = cls.from_values(values, where=where, text=text, origin=origin)
        except SettingsError as fault:
            raise SettingsError("\n".join([*faults, str(fault)])) from None
        if faults:
            raise SettingsError("\n".join(faults))
        return found


def _parse_override(override: str, option: str) -> tuple[str, Any]:
    key, equals, raw = override.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*", key):
        cure = f"as in {option} training.steps=100"
        raise SettingsError(f"`{option} {override}` is not of the form key=value", cure=cure)
    try:
        # TOML's own rules decide what is a number, a truth value or a list; the rest is a string without its quotes.
        return key, tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return key, raw.strip()


def _put(values: dict[str, Any], key: str, value: Any, option: str) -> None:
    *tables, name = key.split(".")
    for depth, table in enumerate(tables):
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise SettingsError(f"{option} {key}: `{'.'.join(tables[: depth + 1])}` is a value, not a table")
    values[name] = value


def _line_of(text: str, key: str) -> int | None:
    """Line at which `key` (dotted) is set in TOML `text`; None where it is not found, as for a missing key."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = header.group(1).strip()
            if table == key:
                return number
        elif assignment := re.match(r"\s*([\w.\-]+)\s*=", line):
            name = assignment.group(1)
            if (f"{table}.{name}" if table else name) == key:
                return number
    return None


def _known_keys(settings: type[BaseModel], key: str) -> list[str]:
    """The names allowed beside the last part of `key`."""
    for part in key.split(".")[:-1]:
        field = settings.model_fields.get(part)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        settings = inner
    return list(settings.model_fields)


def _describe(settings: type[BaseModel], key: str, fault: Any) -> str:
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = _known_keys(settings, key)
        near = difflib.get_close_matches(key.rsplit(".", 1)[-1], known, n=1)
        cure = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return f"`{key}` is no setting; {cure}"
    if kind == "missing":
        return f"`{key}` is missing"
    if kind == "value_error":
        reason = str(fault["ctx"]["error"])
        return f"`{key}`: {reason}" if key else reason
    message = fault["msg"][0].lower() + fault["msg"][1:]
    return f"`{key}` is {fault['input']!r}, but {message.removeprefix('input ')}"
