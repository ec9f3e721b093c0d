"""Named entities by prompting: a decoder writes them, and they are scored as a tagger's are."""

import time
from dataclasses import dataclass

from workbench.core import machine, sources
from workbench.core.described import Described
from workbench.core.errors import DataError
from workbench.data import ner
from workbench.data.ner import NerData
from workbench.methods import tag_errors, tag_scores
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.record.findings import Findings
from workbench.tasks.prompted_ner import prompts
from workbench.tasks.prompted_ner import scores as prompted_ner_scores
from workbench.tasks.prompted_ner.config import Config

METHOD = "prompted"


@dataclass(frozen=True)
class Models(Described):
    """The decoder that is prompted, and the encoder that chooses shots, where one does."""

    decoder: CausalLM
    encoder: Encoder | None

    def describe(self) -> str:
        """What both are."""
        chooses = f"\n\nto choose shots:\n{self.encoder.describe()}" if self.encoder else ""
        return f"{self.decoder.describe()}{chooses}"


def load_data(config: Config) -> NerData:
    """Load the data set's three splits."""
    return ner.load(config.dataset)


def load_model(config: Config) -> Models:
    """Load the decoder, and the encoder if it is to choose shots, onto the run's device."""
    decoder = CausalLM(sources.resolve(config.model, "model"), config.precision)
    if config.shot_choice != "nearest":
        return Models(decoder, None)
    encoder = Encoder(sources.resolve(config.encoder, "model"), casing=False)
    return Models(decoder, encoder)


def run(config: Config, model: Models, data: NerData) -> Findings:
    """Ask for the entities of a sample of test sentences, read the answers, and score them."""
    sample, places = tag_scores.sample(data, "test", config.items)
    if not any(tag != "O" for tags in sample.splits["test"]["ner_tags"] for tag in tags):
        raise DataError(
            f"the {len(places):,} test sentences drawn have no entity",
            expected="one at least, as F1 has no value without",
            do="raise items",
        )
    began = time.monotonic()
    asked = prompts.ask(config, model.decoder, model.encoder, sample)
    chosen = time.monotonic()
    answers = prompted_ner_scores.write(config, model.decoder, asked)
    times = {"choosing shots": chosen - began, "reading and writing": time.monotonic() - chosen}
    read = prompted_ner_scores.read(model.decoder, asked, answers, sample)
    names = tag_scores.names(sample, "test", places)
    prompted_ner_scores.keep(config.directory, names, asked, read)
    tags, unplaced = [each.tags for each in read], [each.unplaced for each in read]
    scored = prompted_ner_scores.scores(sample, asked, read)
    lost = prompted_ner_scores.data_issues(config, model.decoder, data, sample, asked, read)
    sources = {"model": model.decoder.source, "dataset": data.source}
    sources |= {"encoder": model.encoder.source} if model.encoder else {}
    return Findings(
        sources=sources,
        method=METHOD,
        metrics=tag_scores.metrics(sample, "test", tags, unplaced=unplaced) | scored.metrics,
        headline=("test/entity_f1", "test/entity_f1_placed_only", "test/unparsed"),
        baselines=scored.baselines,
        comparisons=scored.comparisons,
        data_issues=lost,
        device=model.decoder.device,
        dtype=machine.precision(config.precision, model.decoder.device),
        network=model.decoder,
        tables={
            **tag_scores.tables(sample, tags, reference=False),
            **tag_errors.study(sample, tags, unplaced=unplaced),
            **prompted_ner_scores.tables(names, asked, read),
            "asking": prompted_ner_scores.asking(model.decoder, asked, read, times),
        },
        items=tag_scores.items(sample, "test", tags, method=METHOD, places=places),
    )
