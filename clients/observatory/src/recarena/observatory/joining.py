"""Puts ES modules together into one classic script, which also loads from file://.

Only the forms that the page's modules use are known; any other stops the work, so that what is put
together does what the modules do:

    import Name from "./x.js";   import { a, b as c } from "./x.js";   import * as x from "./x.js";
    export function f   export async function f   export class C   export const c =
    export default function F   export { a, b as c };

An import or export stands at the beginning of a line (a list of exports may also end a file, as
minifiers leave it). Modules must not import one another in a circle, nor an exported name change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

IMPORT = re.compile(r'^import\s+([^"\';]+?)\s+from\s+"([^"\n]+)";?', re.MULTILINE)
BARE_IMPORT = re.compile(r'^import\s+"([^"\n]+)";?', re.MULTILINE)
DECLARATION = re.compile(
    r"^export\s+(default\s+)?(async\s+function\*?|function\*?|class|const)\s+([\w$]+)", re.MULTILINE
)
LIST = re.compile(r"(?:^|(?<=[;}]))export\s*\{([^}]*)\}\s*;?\s*$", re.MULTILINE)
LEFT_OVER = re.compile(
    r"^(?:import|export)\b.*|(?<![\w.$])import\s*\(.*|\bimport\.meta\b.*", re.MULTILINE
)
COMMENT = re.compile(r"^[ \t]*/\*.*?\*/|^[ \t]*//[^\n]*", re.MULTILINE | re.DOTALL)
"""A comment that begins a line: nothing in it is meant. Only those of licences are kept."""
NAMED = re.compile(r"([\w$]+)(?:\s+as\s+([\w$]+))?")


class CannotJoin(Exception):
    """A module that has a form that is not known. One line of text, with the file."""


@dataclass(slots=True)
class _Module:
    path: str
    body: str
    imports: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(what is imported, path of the module)."""
    exports: dict[str, str] = field(default_factory=dict[str, str])
    """Exported name -> name within the module."""


def joined(root: Path, first: str) -> str:
    """One script that does what the module `first` does, with all that it imports below `root`.
    CannotJoin."""
    modules: dict[str, _Module] = {}
    order: list[str] = []
    _visit(root, first, modules, order, [])
    number = {path: at for at, path in enumerate(order)}
    parts = ['"use strict";', "(() => {"]
    for path in order:
        one = modules[path]
        lines = [f"// {path}", f"const $m{number[path]} = (() => {{"]
        for what, other in one.imports:
            lines.extend(_bound(what, f"$m{number[other]}", modules[other], path))
        given = ", ".join(
            name if name == local else f"{_key(name)}: {local}"
            for name, local in one.exports.items()
        )
        lines += [one.body.strip("\n"), f"return {{ {given} }};", "})();"]
        parts.append("\n".join(lines))
    return "\n".join([*parts, "})();", ""])


def _visit(
    root: Path, path: str, modules: dict[str, _Module], order: list[str], way: list[str]
) -> None:
    if path in way:
        raise CannotJoin(f"{path}: modules import one another in a circle: {' -> '.join(way)}")
    if path in modules:
        return
    one = modules[path] = _parsed(root, path)
    for _, other in one.imports:
        _visit(root, other, modules, order, [*way, path])
    order.append(path)


def _parsed(root: Path, path: str) -> _Module:
    try:
        text = (root / path).read_text("utf-8")
    except OSError as error:
        raise CannotJoin(f"{path} cannot be read: {error.strerror}") from None
    one = _Module(path, text)

    def hidden(found: re.Match[str]) -> str:
        if "Copyright" in found.group():
            return found.group()
        # Line numbers stay as they are, for whoever reads an error.
        return "\n" * found.group().count("\n")

    def imported(found: re.Match[str]) -> str:
        *what, where = found.groups()
        one.imports.append((what[0] if what else "", _place(path, where)))
        return "\n" * found.group().count("\n")

    def declared(found: re.Match[str]) -> str:
        default, keyword, name = found.groups()
        one.exports["default" if default else name] = name
        return f"{keyword} {name}"

    def listed(found: re.Match[str]) -> str:
        for each in filter(None, (entry.strip() for entry in found[1].split(","))):
            names = NAMED.fullmatch(each)
            if names is None:
                raise CannotJoin(f"{path}: cannot join `{each}`")
            one.exports[names[2] or names[1]] = names[1]
        return ""

    body = BARE_IMPORT.sub(imported, IMPORT.sub(imported, COMMENT.sub(hidden, text)))
    body = LIST.sub(listed, DECLARATION.sub(declared, body))
    if left := LEFT_OVER.search(body):
        line = body.count("\n", 0, left.start()) + 1
        raise CannotJoin(f"{path}:{line}: cannot join `{left.group()[:80]}`")
    one.body = body
    return one


def _place(path: str, where: str) -> str:
    """The path below the root of what a module imports."""
    if not where.startswith(("./", "../")):
        raise CannotJoin(f"{path}: {where!r} is no path to a file beside it")
    parts: list[str] = []
    for part in (PurePosixPath(path).parent / where).parts:
        if part == "..":
            if not parts:
                raise CannotJoin(f"{path}: {where!r} is outside the page's files")
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _bound(what: str, module: str, other: _Module, path: str) -> list[str]:
    """Lines that bind the names of an import."""
    if not what:
        return []
    if found := re.fullmatch(r"\*\s+as\s+([\w$]+)", what):
        return [f"const {found[1]} = {module};"]
    if re.fullmatch(r"[\w$]+", what):
        names = [("default", what)]
    elif what.startswith("{") and what.endswith("}"):
        names: list[tuple[str, str]] = []
        for each in filter(None, (entry.strip() for entry in what[1:-1].split(","))):
            found = NAMED.fullmatch(each)
            if found is None:
                raise CannotJoin(f"{path}: cannot join `import {what[:60]}`")
            names.append((found[1], found[2] or found[1]))
    else:
        raise CannotJoin(f"{path}: cannot join `import {what[:60]}`")
    for name, _ in names:
        if name not in other.exports:
            raise CannotJoin(f"{path}: {other.path} exports no {name}")
    bound = ", ".join(name if name == local else f"{_key(name)}: {local}" for name, local in names)
    return [f"const {{ {bound} }} = {module};"]


def _key(name: str) -> str:
    return f'"{name}"'
