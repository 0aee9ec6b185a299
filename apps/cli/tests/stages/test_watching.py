from g2m_cli.settings import LoopSettings
from g2m_cli.stages.watching import tell_that_none_is_held_out, watched


def test_a_stage_with_a_section_held_out_is_evaluated_on_the_way():
    found = watched(LoopSettings(evaluations=20), 640, object(), main=True)
    assert found.evaluate_images == 32


def test_a_study_without_one_is_told_so_once(capsys):
    tell_that_none_is_held_out.cache_clear()
    loop = LoopSettings(evaluations=20)
    assert watched(loop, 640, None, main=False) == watched(loop, 640, None, main=True) == loop
    watched(loop, 64, None, main=True)
    assert capsys.readouterr().err.count('no sample has split = "validation"') == 1
    watched(LoopSettings(), 640, None, main=True)
    assert capsys.readouterr().err == ""
