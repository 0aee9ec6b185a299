"""A whole study by two processes: they train together, and one of them does the rest."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def run_by_two(by_two):
    return lambda *arguments: subprocess.run(
        **by_two(*arguments), capture_output=True, text=True, check=False, timeout=1200
    )


def losses(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "images_per_second" in row]


def test_a_study_by_two_processes_is_the_study_of_one(phantom, study, briefly, tmp_path, run_by_two):
    out = tmp_path / "out"
    command = ["run", phantom / "study.toml", "--out", out, *briefly, "--set", "gan.batch_size=16"]
    result = run_by_two(*command)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (result.stdout + result.stderr).count("--- data") == 1  # one of them speaks
    one, two = (
        {str(path.relative_to(root)) for path in root.rglob("*") if path.suffix in (".csv", ".parquet", ".html")}
        for root in (study, out)
    )
    assert one == two
    for generator in ("encoders", "tissue"):
        found, expected = (losses(root / "runs" / generator) for root in (out, study))
        assert found == pytest.approx(expected, abs=1e-4), generator

    again = run_by_two(*command)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "gan: unchanged, kept" in again.stderr + again.stdout


def test_a_mistake_is_told_once_and_ends_all_processes(phantom, tmp_path, run_by_two):
    result = run_by_two("run", phantom / "absent.toml", "--out", tmp_path / "out", "--preset", "tiny")
    assert result.returncode != 0
    assert (result.stderr + result.stdout).count("absent.toml: ") == 1
    assert not (tmp_path / "out").exists()
