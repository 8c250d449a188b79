"""Strict, frozen settings: an unknown key or a wrong type is an error that names the key."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from molvae.base.errors import ConfigError
from molvae.base.files import file_errors


class Record(BaseModel):
    """Base of all settings: immutable, no unknown keys, no silent coercion of strings to numbers.

    >>> class Settings(Record):
    ...     size: int = 3
    >>> Settings.parse({"sise": 4}, where="run.toml")
    Traceback (most recent call last):
    ...
    molvae.base.errors.ConfigError: run.toml: unknown key 'sise'; did you mean 'size'?
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "settings") -> Self:
        """Make the record from plain values (TOML or JSON), or raise :class:`ConfigError`.

        JSON-like laxness is allowed where nothing can be misread: lists for tuples, whole numbers
        for floats, paths as text.
        """
        try:
            return cls.model_validate_json(_to_json(values, where))
        except ValidationError as error:
            raise ConfigError(f"{where}: {_explain(cls, error)}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values that :meth:`parse` reads back to an equal record."""
        return self.model_dump(mode="json")

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed, checked like the original."""
        return type(self).parse({**self.to_dict(), **changes})


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file, raising :class:`ConfigError` with the line where it is malformed."""
    with file_errors(path):
        data = Path(path).read_bytes()
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{os.fspath(path)}: not valid TOML: {error}") from error


def override(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Apply ``key.sub=value`` assignments (values in TOML syntax, bare words are text).

    >>> override({"model": {"latent_dim": 8}}, ["model.latent_dim=64", "name=test"])
    {'model': {'latent_dim': 64}, 'name': 'test'}
    """
    result = _copy(values)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {assignment!r}: write it as key=value or section.key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        *sections, last = key.strip().split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {assignment!r}: {section!r} is a value, not a section")
        place[last] = value
    return result


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _to_json(values: Mapping[str, Any], where: str) -> str:
    import json

    try:
        return json.dumps(values, default=_plain)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: a value cannot be read: {error}") from error


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Record) else os.fspath(value)


def _explain(cls: type[BaseModel], error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _keys_beside(cls, problem["loc"])
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "known keys: " + ", ".join(known)
            parts.append(f"unknown key {key!r}; {hint}")
        elif problem["type"] == "missing":
            parts.append(f"key {key!r} is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            shown = repr(problem["input"])
            shown = shown if len(shown) <= 60 else shown[:57] + "..."
            parts.append(f"key {key!r} is {shown}: {message}" if key else message)
    return "; ".join(parts)


def _keys_beside(cls: Any, location: tuple[int | str, ...]) -> list[str]:
    for part in location[:-1]:
        field = getattr(cls, "model_fields", {}).get(part)
        annotation = getattr(field, "annotation", None)
        options = getattr(annotation, "__args__", ()) or (annotation,)
        records = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if records:
            cls = records[0]
    return sorted(getattr(cls, "model_fields", {}))
