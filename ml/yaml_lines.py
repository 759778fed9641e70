"""YAML that remembers where it stands: what is wrong is told with file and line."""

import re
from typing import Any, NoReturn

import yaml

from expectations.errors import SetupError


class Lined(dict):
    """A YAML mapping: its line, and the line of each of its keys."""

    file: str
    line: int
    lines: dict[str, int]

    def fail(self, message: str, key: Any = None) -> NoReturn:
        raise SetupError(f"{self.file}, line {self.lines.get(str(key), self.line)}: {message}")


class _Loader(yaml.SafeLoader):
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # 2024-02-30
            raise SetupError(f"{self.name}, line {node.start_mark.line + 1}: {node.value!r}: {error}") from error

    def construct_lined(self, node: yaml.MappingNode) -> Lined:
        made = Lined()
        made.file, made.line, made.lines = self.name, node.start_mark.line + 1, {}
        for key, _ in node.value:
            if str(key.value) in made.lines:
                raise SetupError(f"{self.name}, line {key.start_mark.line + 1}: {key.value!r} stands there twice")
            made.lines[str(key.value)] = key.start_mark.line + 1
        made.update(self.construct_mapping(node, deep=True))
        return made


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_lined)


def load_lined(text: str, file: str) -> Lined:
    """The YAML mapping that ``text`` is; ``file`` stands in the messages."""
    try:
        loader = _Loader(text)
        loader.name = file
        raw = loader.get_single_data()
    except yaml.YAMLError as error:
        raise SetupError(f"{file} is not YAML: {error}{_on_quotes(text, error)}") from error
    if not isinstance(raw, Lined):
        raise SetupError(f"{file}, line 1: the file must be key: value pairs")
    return raw


def _on_quotes(text: str, error: yaml.YAMLError) -> str:
    """What may mend the line that YAML stopped at, where its text begins with a sign that YAML reads otherwise."""
    mark = getattr(error, "problem_mark", None)
    line = text.splitlines()[mark.line].strip() if mark and mark.line < len(text.splitlines()) else ""
    if not re.search(r"(: +|- +|\[|, *)(\{[^{}]*\}[^\s,}\]]|[%@`])", line):
        return ""
    return f'\nA text that begins with {{ or % needs quotes around it, as in files: "{{ds}}.csv"; here: {line}'
