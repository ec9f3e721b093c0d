"""What the documents say, as far as a command can check it."""

import re
import runpy
import shlex

import pytest
import yaml

from workbench import cli, notebooks, tasks
from workbench.batch import plan, suite
from workbench.core import assets, errors, paths
from workbench.core.errors import WorkbenchError

DOCUMENTS = [
    paths.ROOT / "README.md",
    paths.ROOT / "CONTRIBUTING.md",
    paths.ROOT / "data/README.md",
]
DOCUMENTS += sorted((paths.ROOT / "docs").glob("*.md"))
README = (paths.ROOT / "README.md").read_text(encoding="utf-8")


def code_lines(text: str) -> list[str]:
    blocks = re.findall(r"(?s)```\n(.*?)```", text)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    lines = [line for block in blocks for line in block.splitlines()] + spans
    return [line.split("#")[0].strip() for line in lines]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"(?:\]\(|src=\")([^)\"]+)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", [*DOCUMENTS, *notebooks.every()], ids=lambda path: path.name)
def test_files_that_are_named_exist(path):
    if path.name == "log.md":
        pytest.skip("tells of files as they were")
    for name in re.findall(r"\bworkbench/[\w/-]+\.\w+", path.read_text(encoding="utf-8")):
        assert (paths.ROOT / name).exists(), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(path):
    targets = set(re.findall(r"(?m)^([a-z-]+):", (paths.ROOT / "Makefile").read_text()))
    for line in code_lines(path.read_text(encoding="utf-8")):
        words = shlex.split(line) if line.startswith(("make ", "workbench ")) else []
        if words[:1] == ["make"]:
            assert words[1] in targets, line
        elif words and not words[-1].endswith("..."):
            words = [word.strip("[]") for word in words if word != "[NAME...]"]
            options = cli._parser().parse_args(words[1:])
            if getattr(options, "set", None) and "NAME" not in line:
                plan.from_texts(options.name, dict(text.split("=", 1) for text in options.set))


def test_readme_suite_is_one(tmp_path):
    (tmp_path / "my.yaml").write_text(re.search(r"(?s)```yaml\n(.*?)```", README)[1])
    assert len(suite.read(str(tmp_path / "my.yaml"))) == 12


def test_readme_names_every_notebook_and_only_those():
    assert re.findall(r"(?m)^\| `(\d\d_\w+)` \|", README) == [p.stem for p in notebooks.every()]


def test_readme_tree_is_the_tree():
    block = re.search(r"(?s)```\n(notebooks/.*?)```", README)[1]
    for line in block.splitlines():
        for name in re.findall(r"(?<!\S)([a-z]+)/", line.split("  ")[0] or line.split("  ")[1]):
            folder = paths.PACKAGE / name if line.startswith("  ") else paths.ROOT / name
            assert folder.is_dir() or name == "reports", name


def test_readme_exit_codes_are_those_of_the_errors():
    codes = {int(code) for code in re.findall(r"(\d) [a-z]", README.split("Exit codes: ")[1])[:9]}
    found = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, WorkbenchError)
    }
    assert codes == (found | {0}) - {1}


def test_readme_shows_the_pictures_that_are_drawn():
    drawn = {path.stem for path in (paths.ROOT / "docs/figures").glob("*.png")}
    assert set(re.findall(r'src="docs/figures/(\w+)\.png"', README)) == drawn
    assert drawn <= set(tasks.TASKS)
    assert drawn == set(runpy.run_path(str(paths.ROOT / "docs/draw.py"))["PICTURES"])


def test_data_readme_lists_the_catalogue():
    text = (paths.ROOT / "data/README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"(?m)^\| `(\w+)` \|", text))
    fixtures = {folder.name for folder in paths.FIXTURES.iterdir()}
    assert listed == set(assets.catalogue()) | fixtures
    for asset in assets.catalogue().values():
        kind = {"source": "source archive of"}.get(asset.archive, asset.archive)
        assert f"{kind} `{asset.package}` {asset.version}" in text


def test_the_chinese_readme_has_the_commands_numbers_and_pictures_of_the_english_one():
    chinese = (paths.ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    english = README.split("## How it is built")[0]
    chinese = chinese.split("## 怎样构成")[0]

    def commands(text):
        """Lines of the blocks, without comments and the words of one."""
        blocks = re.findall(r"(?s)```\w*\n(.*?)```", text)
        return [
            line.split("#")[0].split("`cases`")[0].rstrip()
            for b in blocks
            for line in b.split("\n")
        ]

    assert commands(chinese) == commands(english)
    for pattern in (
        r"(?<![\d\w])\.\d+",  # fractions
        r"(?m)^\| `(\d\d_\w+)` \|.*\| ([^|]+) \|$",  # times
        r'src="([^"]+)" width="(\d+)"',
        r"workbench [\w-]+(?: --?[\w=.]+)*",
        r"WORKBENCH_\w+|\b[A-Z]\w+MODE\w*",
        r"\]\(((?:docs|data)/[^)]+)\)",
    ):
        assert sorted(re.findall(pattern, chinese)) == sorted(re.findall(pattern, english)), pattern
    codes = re.findall(r"(\d) \w", chinese.split("退出码：")[1])[:10]
    assert codes[:9] == [*"023456789"]


def test_the_table_of_faults_says_where_more_seconds_were_seen_than_expected(within):
    assert (within(0.94, 1), within(1.04, 1)) == ("0.9 s", "1.0 s (exceeded)")


def test_ci_runs_the_gate_and_the_tests():
    script = (paths.ROOT / ".ci/run").read_text()
    assert "make check\nmake test\n" in script
    assert yaml.safe_load((paths.SUITES / "default.yaml").read_text())["runs"]
