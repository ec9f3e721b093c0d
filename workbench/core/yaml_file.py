"""Plans that people write in YAML: read strictly, and wrong ones named by file and line."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ValidationError

from workbench.core.errors import ParameterError
from workbench.core.files import is_file

MAX_BYTES, MAX_NAME = 1 << 20, 200
MAX_ALIASES = 30
"""Enough to share parameters; too few for a file that grows without end when it is read."""
MAX_DEPTH = 20
"""Lists and mappings within each other; a plan has six."""
Form = TypeVar("Form", bound=BaseModel)


def _plain(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError("a parameter is a text, a number, true or false")
    return value


Value = Annotated[Any, AfterValidator(_plain)]
Parameters = dict[str, Value]


class YamlFile(Generic[Form]):
    """A YAML file whose content has one form."""

    def __init__(self, path: Path, form: type[Form], expected: str) -> None:
        """Raises ParameterError, with file and line, for anything wrong."""
        self.path = path
        value, self.node = _load(path)
        try:
            self.content = form.model_validate(value)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise ParameterError(
                f"{self.place(*problem['loc'])}: {where}: {problem['msg']}", expected=expected
            ) from None

    def place(self, *steps: int | str) -> str:
        """File and line of what lies at `steps` of keys and numbers, as far as the file goes."""
        node = self.node
        for step in steps:
            if isinstance(node, yaml.MappingNode):
                found = [value for key, value in node.value if key.value == step]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                found = node.value[step : step + 1]
            else:
                break
            if not found:
                break
            node = found[0]
        return f"{self.path}:{node.start_mark.line + 1}" if node else str(self.path)


def find(name: str, folder: Path, kind: str) -> Path:
    """The file of a name in a folder, or the path itself; ParameterError where there is none."""
    path = folder / f"{name}.yaml"
    path = path if is_file(path) else Path(name)
    if not is_file(path):
        known = ", ".join(sorted(found.stem for found in folder.glob("*.yaml")))
        shown = repr(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}...")
        raise ParameterError(f"unknown {kind} {shown}", expected=f"one of {known}, or a YAML file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ParameterError(f"{path} has {size:,} bytes", expected=f"at most {MAX_BYTES:,}")
    return path


def hint(values: Iterable[Any]) -> str:
    """Why a number among these may have become a text; "" where none did."""
    found = next((str(v) for v in values if re.fullmatch(r"[-+]?\d+e[-+]?\d+", str(v))), "")
    return f"YAML reads {found} as a text: write {found.replace('e', '.0e')}" if found else ""


def _load(path: Path) -> tuple[Any, yaml.Node | None]:
    """Content of a YAML file, and the nodes it was made from, which know their lines."""
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_bombs(path, yaml.parse(text, _LOADER))
        loader = _LOADER(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _refuse_repeated_keys(path, node, set())
        return loader.construct_document(node), node
    except (ParameterError, OSError):
        raise
    except Exception as error:  # noqa: BLE001  PyYAML lets out what Python says of dates and numbers
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ParameterError(f"{path}{line} is not YAML: {problem}") from None


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _refuse_bombs(path: Path, events: Iterable[yaml.Event]) -> None:
    """Refuse what would take long to read; only as much of it is read as is needed for that."""
    aliases = depth = 0
    for event in events:
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if aliases > MAX_ALIASES:
            raise ParameterError(f"{path} has many aliases", expected=f"up to {MAX_ALIASES}")
        if depth > MAX_DEPTH:
            line = f":{event.start_mark.line + 1}" if event.start_mark else ""
            raise ParameterError(
                f"{path}{line} is not YAML of a plan: lists or mappings are nested deeper",
                expected=f"up to {MAX_DEPTH} of them within each other",
            )


def _refuse_repeated_keys(path: Path, node: yaml.Node, seen: set[int]) -> None:
    """YAML takes the last of equal keys in silence; here that is an error."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    keys = set()
    for child in node.value:
        key, value = child if isinstance(node, yaml.MappingNode) else (None, child)
        if isinstance(key, yaml.ScalarNode) and key.value in keys:
            line = key.start_mark.line + 1
            raise ParameterError(f"{path}:{line}: {key.value!r} is there twice", expected="once")
        if key is not None and isinstance(key, yaml.ScalarNode):
            keys.add(key.value)
        _refuse_repeated_keys(path, value, seen)
