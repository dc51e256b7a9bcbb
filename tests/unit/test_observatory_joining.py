"""Modules put together into one script do what the modules do, or are refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from recarena.observatory.app import STATIC
from recarena.observatory.joining import CannotJoin, joined

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(not NODE, reason="node is not here to run a script with")


def written(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder


def said(script: str, folder: Path) -> str:
    """What a script writes to the console."""
    assert NODE is not None
    (folder / "joined.cjs").write_text(script)
    words = [NODE, str(folder / "joined.cjs")]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout


@needs_node
def test_every_form_that_the_page_uses_means_the_same(tmp_path):
    written(
        tmp_path,
        one="""// import x from "./nowhere.js"
/**
 export function notThis() {}
 @param {import("./nowhere.js").X} a */
export const first = 1;
export function second() { return first + 1; }
export async function third() { return 3; }
export class Fourth { get value() { return 4; } }
const fifth = 5, own = "same name";
export { fifth as five, own };
""",
        two="""import { first, second,
  Fourth as F, five } from "./one.js";
import * as all from "./one.js";
export default function name() { return [first, second(), new F().value, five, all.own]; }
""",
        three="""import name from "./two.js";
import { third } from "./one.js";
const own = `line
imported, of a template`;
third().then((value) => console.log(JSON.stringify([...name(), value]), own.length));
""",
        four='import "./three.js";\n',
    )
    script = joined(tmp_path, "four.js")
    assert said(script, tmp_path) == '[1,2,4,5,"same name",3] 28\n'


@needs_node
def test_a_list_of_exports_may_end_a_line_as_minifiers_leave_it(tmp_path):
    written(
        tmp_path,
        one="var a=1,b=function(){return 2};export{a as x,b as default};",
        two='import b, { x } from "./one.js";\n',
    )
    with pytest.raises(CannotJoin, match=r"two\.js"):
        joined(tmp_path, "two.js")
    text = 'import b from "./one.js";\nimport { x } from "./one.js";\nconsole.log(x + b());\n'
    written(tmp_path, two=text)
    assert said(joined(tmp_path, "two.js"), tmp_path) == "3\n"


@pytest.mark.parametrize(
    "text",
    [
        "export let a = 1;\n",
        "export var a = 1;\n",
        "export default 3;\n",
        "export default class {}\n",
        'export * from "./one.js";\n',
        'export { a } from "./one.js";\n',
        'import { a } from "react";\n',
        'import { a } from "/one.js";\n',
        'import { a } from "../../out.js";\n',
        'import { missing } from "./one.js";\n',
        'import x from "./one.js";\n',
        'import { a } from "./nothere.js";\n',
        'const m = await import("./one.js");\n',
        "const here = import.meta.url;\n",
        "import { a } from './one.js';\n",
        "export const { a, b } = c;\n",
    ],
)
def test_any_other_form_is_refused_with_the_file_that_has_it(tmp_path, text):
    written(tmp_path, one="export const a = 1;\n", two=text)
    with pytest.raises(CannotJoin, match=r"two\.js|nothere\.js"):
        joined(tmp_path, "two.js")


def test_modules_in_a_circle_are_refused(tmp_path):
    written(
        tmp_path,
        one='import { b } from "./two.js";\nexport const a = 1;\n',
        two='import { a } from "./one.js";\nexport const b = 1;\n',
    )
    with pytest.raises(CannotJoin, match="circle"):
        joined(tmp_path, "one.js")


def test_licences_stay_and_other_comments_go(tmp_path):
    written(tmp_path, one="/* Copyright somebody */\n// of no interest\nconsole.log(1);\n")
    script = joined(tmp_path, "one.js")
    assert "Copyright somebody" in script
    assert "of no interest" not in script


def test_the_pages_own_modules_can_be_put_together(tmp_path):
    script = joined(STATIC, "js/main.js")
    (tmp_path / "page.js").write_text(script)
    if NODE:
        subprocess.run([NODE, "--check", str(tmp_path / "page.js")], check=True, timeout=30)
    assert '"/static/' not in script
