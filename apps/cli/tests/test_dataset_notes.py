import json

from g2m_cli.dataset_notes import list_notes, say_notes


def write(folder, notes):
    content = {"samples": {sample: {"notes": kept} for sample, kept in notes.items()}}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def test_each_note_is_told_once_with_its_sections(tmp_path, capsys):
    dataset = write(tmp_path, {"a": ["Gm1 was left out", "3 patches"], "b": ["Gm1 was left out"], "c": ["9 patches"]})
    assert list_notes(dataset) == ["a, b: Gm1 was left out", "a: 3 patches", "c: 9 patches"]
    say_notes(dataset)
    assert capsys.readouterr().err.splitlines()[0] == "note: a, b: Gm1 was left out"


def test_a_note_of_all_sections_does_not_list_them(tmp_path):
    assert list_notes(write(tmp_path, {"a": ["x"], "b": ["x"]})) == ["all sections: x"]
    assert list_notes(write(tmp_path, {"a": ["x"]})) == ["a: x"]
    assert list_notes(write(tmp_path, {"a": [], "b": []})) == []
