"""Each example runs as its first line says, in a process of its own, and shows what it claims."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from support import programs

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, folder: Path, *arguments: str) -> str:
    """What an example prints on little data, run in a folder that shows what is left behind."""
    done = programs.run([str(EXAMPLES / name), *arguments, "--quick"], folder, seconds=140)
    assert done.code == 0, done.errors[-4000:]
    assert "Traceback" not in done.errors
    assert not list(folder.iterdir())
    return done.printed


def test_the_quickstart_trains_and_its_halves_fit_together(tmp_path: Path) -> None:
    printed = run("quickstart.py", tmp_path)
    assert float(re.search(r"never trained on: (0\.\d+)", printed)[1]) > 0.5
    assert "predicts exactly what the split one does: True" in printed


def test_a_server_of_ones_own_is_found_again_after_loading(tmp_path: Path) -> None:
    printed = run("own_server.py", tmp_path)
    before, after = re.search(r"Accuracy (0\.\d+) before saving and (0\.\d+) after", printed).groups()
    assert before == after
    assert float(after) > 0.5


def test_two_data_owners_train_one_model_in_turns(tmp_path: Path) -> None:
    printed = run("several_owners.py", tmp_path)
    found = re.findall(r"^(hospital-[ab]) has (\d+) rows; .*: (0\.\d+), (0\.\d+)$", printed, re.M)
    assert sorted(name for name, *_ in found) == ["hospital-a", "hospital-b"]
    assert len({rows for _, rows, *_ in found}) == 2
    # After four turns, two of each.
    assert max(float(last) for *_, last in found) > 0.7


def test_a_frozen_head_gets_no_gradients(tmp_path: Path) -> None:
    printed = run("transfer_learning.py", tmp_path)
    sent, received = re.search(r"epoch sent ([\d,]+) bytes and received ([\d,]+)", printed).groups()
    assert int(received.replace(",", "")) < int(sent.replace(",", "")) / 10
    assert "The head is what it was: True" in printed


def test_a_search_weighs_accuracy_against_what_the_client_pays(tmp_path: Path) -> None:
    picture = tmp_path / "pareto.png"
    (tmp_path / "empty").mkdir()
    printed = run("tune_the_cut.py", tmp_path / "empty", str(picture))
    assert re.search(r"Client FLOPs per sample: [\d,]+\nBytes up per sample: [\d,]+\n", printed)
    found = re.findall(r"^(pool1|pool2|dense) +\d+ +\d+\.\d%.*?( +on the Pareto front)?$", printed, re.M)
    assert len(found) == 2
    assert any(front for _, front in found)
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")


# Where the data of each task comes from: what `pip install '.[examples]'` installs.
TASKS = {
    "regression": "sklearn",
    "segmentation": "nilearn",
    "sequences": "seglearn",
    "tabular": "statsmodels",
    "text": "simple_icd_10_cm",
}


@pytest.mark.parametrize(("task", "package"), TASKS.items(), ids=TASKS.keys())
def test_each_task_is_learned_split_as_whole(tmp_path: Path, task: str, package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"The data is in {package}: pip install '.[examples]'")
    printed = run(f"{task}.py", tmp_path)
    differences = re.findall(r"^Largest difference of the [\d,]+ weights: (.+)$", printed, re.M)
    assert differences == ["0"] * (2 if task == "sequences" else 1)
    # Columns in a row of the table: name, whole, split.
    scores = re.findall(r"^(\S.*?) {2,}(-?[\d.]+) +(-?[\d.]+)$", printed, re.M)
    assert len(scores) >= 2 * len(differences)
    assert [whole for _, whole, _ in scores] == [split for _, _, split in scores]


def test_rows_without_labels_are_learned_from_and_cost_no_bytes(tmp_path: Path) -> None:
    picture = tmp_path / "semi_supervised.png"
    (tmp_path / "empty").mkdir()
    printed = run("semi_supervised.py", tmp_path / "empty", str(picture))
    rows = re.findall(
        r"^ +(\d+) +([\d.]+) ± 0\.0 +([\d.]+) ± 0\.0 +([\d.]+) ± 0\.0 +([+-][\d.]+)", printed, re.M
    )
    assert [count for count, *_ in rows] == ["10", "50"]
    for _, *numbers in rows:
        alone, labelled, everything, gain = map(float, numbers)
        assert gain == pytest.approx(everything - alone, abs=0.11)
        assert len({alone, labelled, everything}) > 1
    # One row in four has a label, and nothing else leaves.
    sent = [float(each.replace(",", "")) for each in re.findall(r"per update, .*: ([\d,]+)$", printed, re.M)]
    assert sent == pytest.approx([sent[0]] * 3, rel=0.01)
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")


def test_a_cut_is_chosen_by_line_and_machines(tmp_path: Path) -> None:
    printed = run("choose_a_cut.py", tmp_path)
    office, building = re.search(r"office line: (\w+), in the building: (\w+)", printed).groups()
    tables = printed.split("Step, ms")[1:]
    assert [table.splitlines()[2].split()[0] for table in tables] == [office, building]
    assert office != building
    assert int(re.search(r"plan\.png, ([\d,]+) bytes", printed)[1].replace(",", "")) > 10_000
