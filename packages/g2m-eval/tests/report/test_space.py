import json

import numpy as np
import pytest

from g2m_eval.config import SpaceSettings
from g2m_eval.figures.slides import SectionOverlay
from g2m_eval.report.page import write_report
from g2m_eval.report.space import figure_of_joint_clusters, space_sections
from g2m_eval.space import keys
from g2m_eval.space.evaluate import evaluate_space
from g2m_eval.space.images import PatchFeatures, compare_images


@pytest.fixture(scope="module")
def found(invent):
    embeddings, expression, truth = invent(["v1", "v2"])
    return evaluate_space(
        embeddings=embeddings, expression=expression, truth=truth, settings=SpaceSettings(clusters=3, neighbours=10)
    )


@pytest.fixture(scope="module")
def overlays(found):
    obs = found.adata.obs
    return {
        name: SectionOverlay(
            image=np.full((40, 50, 3), 200, np.uint8),
            xy=np.asarray(found.adata.obsm["spatial"][(obs["sample"] == name).to_numpy()]) * 40,
            labels=obs.loc[obs["sample"] == name, keys.SAMPLEWISE].astype(str).tolist(),
            diameter_px=2.0,
        )
        for name in ("v1", "v2")
    }


def test_without_generator_figure_d1_is_left_out_and_the_page_says_so(found, overlays):
    sections = space_sections(found, overlays=overlays)
    assert [figure.name for section in sections for figure in section.figures] == [
        "space-embeddings", "space-sections", "space-joint",
    ]  # fmt: skip
    assert "Figure D.1 is left out" in sections[-1].text


def test_page_with_generators_is_written_whole(found, overlays, tmp_path):
    draw = lambda n: np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)  # noqa: E731
    features = {
        name: PatchFeatures(network=name, test=draw(45), train=draw(46), generated={"sd-w7.5": draw(47)})
        for name in ("own network", "encoder of phase 1")
    }
    images = compare_images(independent=features["own network"], image_encoder=features["encoder of phase 1"])
    sections = space_sections(found, overlays=overlays, images=images, labels={"sd-w7.5": "sd (w = 7.5)"})
    write_report(
        tmp_path / "space",
        title="x",
        metrics={"clusters": found.metrics},
        sections=sections,
        files={"space.h5ad": found.adata.write_h5ad},
    )
    names = {path.relative_to(tmp_path / "space").as_posix() for path in (tmp_path / "space").rglob("*.*")}
    assert names >= {
        "clusters.csv", "cluster-agreement.csv", "image-mixing.csv", "space.h5ad", "figures/space-images-sd-w7_5.png",
    }  # fmt: skip
    metrics = json.loads((tmp_path / "space" / "metrics.json").read_text())["clusters"]
    assert metrics["ari_joint_vs_samplewise"] == metrics["ari_joint_vs_samplewise_pooled"] == 1
    page = (tmp_path / "space" / "report.html").read_text()
    assert "encoder of phase 1" in page
    assert "sd (w = 7.5)" in page


def test_ari_values_are_in_the_titles(found):
    titles = [axes.get_title(loc="left") for axes in figure_of_joint_clusters(found).figure.axes]
    assert "sections' own: 1.000" in titles[0]
    assert f"{found.metrics['ari_joint_vs_sample']:.3f}" in titles[1]
    assert f"{found.metrics['ari_expression_vs_sample']:.3f}" in titles[3]
