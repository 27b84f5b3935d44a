"""The documentation names what exists, and shows code that can be run."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from keras_split.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README = ROOT / "README.md"


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(path), re.M | re.S)


def outside_of_blocks(path: Path) -> str:
    return re.sub(r"^```.*?^```", "", text(path), flags=re.M | re.S)


def links(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", outside_of_blocks(path))


def anchors(path: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.*)$", outside_of_blocks(path), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def public_names() -> list[str]:
    for node in ast.parse(text(ROOT / "keras_split" / "__init__.py")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError("There is no __all__.")


def classes(path: Path) -> list[str]:
    found = [each for each in ast.parse(text(path)).body if isinstance(each, ast.ClassDef)]
    return [each.name for each in found]


def commands() -> list[tuple[str, str]]:
    """Every line that calls the program, with the page where it stands."""
    lines = [(page.name, line) for page in PAGES for block in blocks(page, "") for line in block.splitlines()]
    return [(page, line) for page, line in lines if line.startswith("keras-split ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [README]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            found = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
            waiting += [each for each in found if each.suffix == ".md" and each.exists()]
    assert {page for page in PAGES if "docs" in page.parts} <= seen


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


def test_every_public_name_is_mentioned() -> None:
    everything = "".join(map(text, PAGES))
    assert not [name for name in public_names() if f"`{name}" not in everything]


def test_every_exception_is_explained() -> None:
    page = text(ROOT / "docs" / "errors.md")
    names = classes(ROOT / "keras_split" / "errors.py")
    assert not [name for name in names if f"`{name}`" not in page and f".{name}`" not in page]


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_is_one_that_the_program_takes(page: str, line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = main.commands[name]
    with click.Context(command, info_name=name) as context:
        # The parser alone: values such as folders need not exist here.
        command.make_parser(context).parse_args(arguments)


def test_every_command_is_in_the_readme() -> None:
    assert not [name for name in main.commands if f"`keras-split {name}" not in text(README)]


def test_every_option_of_serve_is_explained() -> None:
    page = text(ROOT / "docs" / "operations.md")
    options = [each.opts[0] for each in main.commands["serve"].params if each.opts[0][:2] == "--"]
    assert not [each for each in options if f"`{each}" not in page]


def test_every_option_of_plan_is_explained() -> None:
    page = text(ROOT / "docs" / "choosing-a-cut.md")
    options = [each.opts[0] for each in main.commands["plan"].params if each.opts[0][:2] == "--"]
    assert not [each for each in options if not re.search(rf"{each}(?![\w-])", page)]


def test_every_picture_is_shown() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert set((ROOT / "docs" / "images").iterdir()) <= shown


def test_the_tests_that_the_threat_model_names_exist() -> None:
    page = text(ROOT / "docs" / "threat-model.md")
    missing = [
        f"{path}::{name}" if name else path
        for path, name in re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", page)
        if not (ROOT / path).exists() or (name and f"def {name}(" not in text(ROOT / path))
    ]
    assert not missing
