import pytest

from g2m_interpret.config import (
    PRESETS,
    AttributionSettings,
    EnrichmentSettings,
    InterpretationSettings,
    PerturbationSettings,
)
from g2m_interpret.errors import InputError


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: AttributionSettings(reference="median"), "mean-embedding"),
        (lambda: AttributionSettings(score="best"), "upregulated"),
        (lambda: AttributionSettings(tolerance=0.0), "tolerance"),
        (lambda: EnrichmentSettings(case="lower"), "upper"),
        (lambda: EnrichmentSettings(min_size=10, max_size=5), "max_size"),
        (lambda: PerturbationSettings(doses=(1.0, 0.0, 2.0)), "doses"),
    ],
)
def test_settings_that_cannot_be_computed_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()


def test_the_paper_compares_each_sections_own_clusters():
    assert PRESETS["paper"].clusters == PRESETS["paper-code"].clusters == "samplewise"
    assert PRESETS["base"].clusters == PRESETS["tiny"].clusters == ""
    with pytest.raises(InputError, match="clusters is 'each'"):
        InterpretationSettings(clusters="each")


def test_the_paper_and_its_code_differ_in_the_reference():
    assert PRESETS["paper"].attribution.reference == "mean-embedding"
    assert PRESETS["paper-code"].attribution.reference == "mean-expression"
    assert PRESETS["paper"].enrichment.top_genes == PRESETS["paper-code"].enrichment.top_genes == 100
