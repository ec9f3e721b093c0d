"""The smallest whole task, to copy: find the entities that stood in the training data.

The model is the baseline of the CoNLL-2003 shared task, so it trains in no time.
"""

from workbench.data import ner
from workbench.data.ner import NerData
from workbench.methods import tag_scores
from workbench.models.lexicon import Lexicon
from workbench.record.findings import Findings
from workbench.tasks.template.config import Config


def load_data(config: Config) -> NerData:
    """Load the data set."""
    return ner.load(config.dataset)


def load_model(config: Config) -> Lexicon:
    """Make an empty lexicon."""
    return Lexicon()


def run(config: Config, model: Lexicon, data: NerData) -> Findings:
    """Fill the lexicon from the training split and score it on the test split."""
    train, test = data.splits["train"], data.splits["test"]
    model.fit(train["tokens"], train["ner_tags"])
    predicted = [model.predict(words) for words in test["tokens"]]
    return Findings(
        sources={"dataset": data.source},
        method="lexicon",
        metrics=tag_scores.metrics(data, "test", predicted),
        headline=("test/entity_f1", "test/token_accuracy"),
        baselines={"majority": tag_scores.majority(data)},
        tables=tag_scores.tables(data, predicted),
        items=tag_scores.items(data, "test", predicted, method="lexicon"),
    )
