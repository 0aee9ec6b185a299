"""The last stages of `g2m run` with a paper preset: the images behind Table 1, and the page of tables and figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from g2m_cli.artefacts import Artefacts
from g2m_cli.console import say
from g2m_cli.device import AUTO
from g2m_cli.study import Study, folder_id
from g2m_cli.study_settings import StudySettings

if TYPE_CHECKING:
    from g2m_cli.evaluation.images import ImagesRequest
    from g2m_eval.space.evaluate import SpaceEvaluation


class PaperStages:
    """The stages, each made unless it is there; none where the settings want no page.

    Parameters
    ----------
    study, settings
        Where artefacts lie and what they are to be.
    artefacts
        Makes them.
    limit
        Test spots that are drawn for Table 1; all by default.
    precision
        They are drawn in, as `resolve_precision` takes it.
    """

    def __init__(
        self,
        study: Study,
        settings: StudySettings,
        artefacts: Artefacts,
        *,
        limit: int | None = None,
        precision: str = AUTO,
    ) -> None:
        self.study, self.settings, self.artefacts = study, settings, artefacts
        self.limit, self.precision = limit, precision
        self.network = ""
        """Through which Table 1 is measured, once it was looked for."""

    def check(self) -> None:
        """Look for Inception and for readers, and refuse what could not be scored, before hours are spent.

        Raises
        ------
        InputError
            If there are to be too few images, or a file or folder that the settings name is not what it should be.
        """
        from g2m_cli.evaluation.images import check_enough

        if not self.settings.paper.page:
            return
        check_enough(self.settings.paper.seeds, self.limit)
        self.network = self.find_network()
        if self.settings.paper.readers:
            self.find_readers()

    def find_network(self) -> str:
        """Give Inception where its weights can be had, else the network of the study's own, and say so.

        Raises
        ------
        g2m_eval.InputError
            If the settings name a file of weights and it holds none.
        """
        from g2m_cli.evaluation.image_extractors import INCEPTION, OWN
        from g2m_eval import InputError as NoWeights
        from g2m_eval.extractors.inception import InceptionExtractor

        try:
            InceptionExtractor.load(self.settings.paper.inception or None)
        except NoWeights as error:
            if self.settings.paper.inception:
                raise
            say(
                f"Table 1 will have no FID and no KID but distances by a network of the study's own: {error}; or name "
                "the file with --set paper.inception=FILE"
            )
            return OWN
        return INCEPTION

    def find_readers(self) -> Path | None:
        """Give the folder of a reader study that can be scored; of one that lies there unfinished, say why it waits.

        Raises
        ------
        g2m_eval.InputError
            If the settings name a folder that cannot be scored.
        """
        from g2m_eval import InputError as NoAnswers
        from g2m_eval.reader_study.score import score_study

        named = self.settings.paper.readers
        folder = Path(named) if named else self.study.root / "readers"
        if not (named or folder.is_dir()):
            return None
        try:
            score_study(folder, times=1)
        except NoAnswers as error:
            if named:
                raise
            say(f"Table 2 is left out: {error}")
            return None
        return folder

    def score(self, models: Sequence[str]) -> None:
        """Draw several images of every test spot with each model, and measure how far they are from real patches."""
        from g2m_cli.evaluation.images import draw_missing, images_record, score_images

        if not self.settings.paper.page:
            return
        study, request, evaluation = self.study, self.images(models), self.settings.evaluation
        draw_missing(study, request, self.artefacts, precision=self.precision)
        self.artefacts.once(
            "images",
            study.root / "images",
            images_record(study, request, evaluation)["id"],
            folder_id,
            lambda: score_images(study, request, evaluation),
        )

    def images(self, models: Sequence[str]) -> ImagesRequest:
        """Say what Table 1 is made of."""
        from g2m_cli.evaluation.image_extractors import INCEPTION
        from g2m_cli.evaluation.images import ImagesRequest

        own = self.settings.paper
        return ImagesRequest(
            models=tuple(models),
            seeds=own.seeds,
            limit=self.limit,
            extractors=(self.network,),
            weights=Path(own.inception) if own.inception and self.network == INCEPTION else None,
            steps=self.changed_steps(),
        )

    def changed_steps(self) -> dict[str, int]:
        """Give the evaluations of the denoiser by family, where the settings want others than the model's own.

        `g2m eval images` draws with the model's own: it shall find what lies here.
        """
        wanted = {name: found.model.sampling.steps for name, found in self.settings.diffusion.items()}
        exported = {name: self.study.run(name) / "model" / "model_index.json" for name in wanted}
        own = {name: json.loads(file.read_text())["steps"] for name, file in exported.items() if file.is_file()}
        return {name: steps for name, steps in wanted.items() if own.get(name, steps) != steps}

    def write(self, models: Sequence[str], space: SpaceEvaluation | None) -> None:
        """Write the page of all tables and figures; ``space`` is the embedding space, where it is at hand."""
        from g2m_cli.evaluation.paper import ITEMS, paper_record, write_paper
        from g2m_cli.evaluation.paper_items import PaperStudy

        if not self.settings.paper.page:
            return
        paper = PaperStudy(self.study, tuple(models), self.settings.evaluation, self.find_readers(), space)
        target = self.study.root / "paper"
        self.artefacts.once(
            "paper", target, paper_record(paper, ITEMS)["id"], folder_id, lambda: write_paper(paper, out=target)
        )
        say(f"paper: {target / 'report.html'}")
