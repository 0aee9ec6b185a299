import json

import pandas as pd
import pytest

from g2m_interpret.errors import InputError
from g2m_interpret.perturbation.edits import Edit
from g2m_interpret.perturbation.simulator import draw_keys
from g2m_interpret.perturbation.verification import pending_edits, verify_edits

KEYS = draw_keys([f"spot {i}" for i in range(6)], 2, 0)


def edits_of(genes):
    return [Edit(up=(gene,), label=gene) for gene in genes]


class Counted:
    """A generator that counts its calls, and can fail after some."""

    def __init__(self, toy, fail_after=None):
        self.toy, self.calls, self.fail_after = toy, 0, fail_after

    def simulator(self, genes):
        import dataclasses

        return dataclasses.replace(self.toy.simulator(genes), generate=self.generate)

    def generate(self, condition, keys):
        self.calls += 1
        if self.fail_after is not None and self.calls > self.fail_after:
            raise KeyboardInterrupt
        return self.toy.generate(condition, keys)


def verify(simulator, spots, genes, folder, **arguments):
    return verify_edits(
        simulator, spots[0][:6], edits_of(genes), KEYS, folder, models={"gan": "1"}, resamples=20, **arguments
    )


def test_a_stopped_screen_goes_on_where_it_was(spots, genes, toy, tmp_path):
    whole = verify(toy.simulator(genes), spots, genes[:6], tmp_path / "whole")
    stopped = Counted(toy, fail_after=4)  # the unedited spots and three edits
    with pytest.raises(KeyboardInterrupt):
        verify(stopped.simulator(genes), spots, genes[:6], tmp_path / "halves")
    rest = Counted(toy)
    halves = verify(rest.simulator(genes), spots, genes[:6], tmp_path / "halves")
    assert rest.calls == 1 + 3
    pd.testing.assert_frame_equal(halves, whole)
    again = Counted(toy)
    verify(again.simulator(genes), spots, genes[:6], tmp_path / "halves")
    assert again.calls == 0


def test_a_line_cut_short_is_repeated(spots, genes, toy, tmp_path):
    whole = verify(toy.simulator(genes), spots, genes[:3], tmp_path)
    path = tmp_path / "verified-0-of-1.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    pd.testing.assert_frame_equal(verify(toy.simulator(genes), spots, genes[:3], tmp_path), whole)
    assert sum(line.startswith("{") and line.endswith("}") for line in path.read_text().splitlines()) == 3


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00\n", b"[1, 2]\n", b"7\n", b'{"screen": "x"}\n'])
def test_lines_that_are_no_result_are_passed_over(damage, spots, genes, toy, tmp_path):
    whole = verify(toy.simulator(genes), spots, genes[:3], tmp_path)
    path = tmp_path / "verified-0-of-1.jsonl"
    path.write_bytes(damage + path.read_bytes())
    pd.testing.assert_frame_equal(verify(toy.simulator(genes), spots, genes[:3], tmp_path), whole)


def test_processes_share_the_edits_and_one_table(spots, genes, toy, tmp_path):
    alone = verify(toy.simulator(genes), spots, genes[:5], tmp_path / "one")
    first = verify(toy.simulator(genes), spots, genes[:5], tmp_path / "two", share=(0, 2))
    assert sorted(set(first["edit"])) == ["Gene0", "Gene2", "Gene4"]
    both = verify(toy.simulator(genes), spots, genes[:5], tmp_path / "two", share=(1, 2))
    pd.testing.assert_frame_equal(both, alone)


def test_results_of_other_models_are_refused(spots, genes, toy, tmp_path):
    verify(toy.simulator(genes), spots, genes[:2], tmp_path)
    line = json.loads((tmp_path / "verified-0-of-1.jsonl").read_text().splitlines()[0])
    assert line["rows"][0]["statistic"] == "pink"
    with pytest.raises(InputError, match="other models"):
        verify_edits(
            toy.simulator(genes), spots[0][:6], edits_of(genes[:2]), KEYS, tmp_path, models={"gan": "2"}, resamples=20
        )


def test_edits_of_one_name_are_refused(spots, genes, toy, tmp_path):
    with pytest.raises(InputError, match="same name"):
        verify(toy.simulator(genes), spots, ["Gene0", "Gene0"], tmp_path)


def test_what_is_pending_is_what_no_process_has_verified(spots, genes, toy, tmp_path):
    def pending():
        found = pending_edits(
            toy.simulator(genes), spots[0][:6], edits_of(genes[:4]), KEYS, tmp_path, models={"gan": "1"}, resamples=20
        )
        return [edit.name for edit in found]

    assert pending() == ["Gene0", "Gene1", "Gene2", "Gene3"]
    verify(toy.simulator(genes), spots, genes[:4], tmp_path, share=(1, 2))
    assert pending() == ["Gene0", "Gene2"]
