"""A trained classifier as a folder that plain transformers loads, and back again.

Both kinds are written as a token classifier. A text's logits are the mean of its tokens' logits:
the head is linear, so that is the head on the mean of the hidden states. Letter case, where the
encoder was told of it, becomes the rows of the token type embedding.
"""

import copy
import hashlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForTokenClassification

from workbench.core.config import names
from workbench.core.errors import IntegrityError, ParameterError
from workbench.core.files import write_text
from workbench.core.sources import Source
from workbench.models.encoder import SHAPES, Encoder, TokenClassifier
from workbench.models.loading import silence
from workbench.models.text_classifier import TextClassifier, merged
from workbench.models.windows import MAX_WINDOWS, even_spans
from workbench.record.result import Result

VARIABLE = "WORKBENCH_MODELS"
"""Set to "none", no model is kept."""
FOLDER = "model"
"""In the run directory."""
CARD_FILE = "README.md"
SETTINGS = "workbench.json"
RENAMED = {
    "window_pieces": "window_tokens", "max_pieces": "max_tokens",
    "consistency": "document_smoothing", "views": "window_averaging",
}  # fmt: skip
"""Names in the settings of models kept by earlier versions -> what they are called."""
"""In it: what its labels are of, and how text is cut up for it."""
NEAR = 1e-3
"""Most that a logit of the written model may differ, as products are added up in another order."""
SAMPLE = "Tarvik's mayor, Ada Lund, met EU officials; 1996 was good."
Classifier = TokenClassifier | TextClassifier


def keep(
    model: Classifier | None, result: Result, directory: Path | None, **settings: Any
) -> Result:
    """Write a model and its card into a run's directory; the result with the files' hashes.

    Not where WORKBENCH_MODELS is "none", nor, which is said, for an architecture that `save`
    refuses.
    """
    if model is None or directory is None or os.environ.get(VARIABLE) == "none":
        return result
    try:
        files = save(model, directory / FOLDER, settings)
    except ParameterError as error:
        print(f"the model is not kept: {error}")
        return result
    write_text(directory / FOLDER / CARD_FILE, card(result, settings.get("max_tokens", 0)))
    return result.model_copy(update={"tables": result.tables | {"model_files": files}})


def save(model: Classifier, folder: Path, settings: dict[str, Any]) -> dict[str, str]:
    """Write the classifier, tokenizer and settings; return each file's sha256.

    Adapters are merged. Raises ParameterError for an architecture whose token classifier is more
    than a linear head on the encoder, or that can't be told of letter case.
    """
    plain = _plain(model)
    folder.mkdir(parents=True, exist_ok=True)
    with silence():
        plain.save_pretrained(folder)
        model.encoder.tokenizer.save_pretrained(folder)
    of = "words" if isinstance(model, TokenClassifier) else "texts"
    known: dict[str, Any] = {"labels_of": of, "casing": model.encoder.shapes is not None}
    write_text(folder / SETTINGS, json.dumps(known | settings, indent=1) + "\n")
    return _hashes(folder)


def load(folder: Path, files: dict[str, str]) -> tuple[Classifier, dict[str, Any]]:
    """The classifier and its settings. IntegrityError unless the files have these hashes."""
    found = _hashes(folder) if folder.is_dir() else {}
    if wrong := sorted(name for name, wanted in files.items() if found.get(name) != wanted):
        raise IntegrityError(
            f"{folder / wrong[0]} is missing or not as the run's record says",
            do="run it again",
        )
    kept = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    settings = {RENAMED.get(name, name): value for name, value in kept.items()}
    if extras := settings.get("extras"):
        settings["extras"] = ", ".join(RENAMED.get(name, name) for name in names(extras))
    fingerprint = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    source = Source(str(folder), folder, fingerprint, "a model of a run")
    encoder = Encoder(source, casing=settings["casing"])
    with silence():
        plain = AutoModelForTokenClassification.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
    labels = [plain.config.id2label[index] for index in range(plain.config.num_labels)]
    model: Classifier
    if settings["labels_of"] == "words":
        model = TokenClassifier(encoder, labels)
    else:
        model = TextClassifier(encoder, labels)
    model.head.load_state_dict(plain.classifier.state_dict(), strict=False)  # folded: not scaled
    return model.eval(), settings


def card(result: Result, max_tokens: int = 0) -> str:
    """What the model is, how good, and how to load it: a model card in Markdown.

    `max_tokens` are read of a text at once, where labels are of texts.
    """
    source, dataset = (result.sources[kind] for kind in ("model", "dataset"))
    scores = "\n".join(
        f"| {name} | {metric} | {metric.n:,} |"
        for name, metric in result.metrics.items()
        if name in result.headline
    )
    return CARD.format(
        task=result.task,
        model=source["name"],
        about=source["about"],
        license=source["license"],
        dataset=dataset["name"],
        data_license=f"{dataset['license']}; {dataset['terms']}".rstrip("; "),
        scores=scores,
        parameters=json.dumps(result.parameters, indent=1),
        use=USE["words"] if result.task == "ner" else _use_of_texts(max_tokens),
    )


CARD = """---
library_name: transformers
pipeline_tag: token-classification
---
# {model} fine-tuned on {dataset}

Task `{task}`. Trained from {model}: {about} (licence: {license}). Data: {dataset} (licence:
{data_license}).

| metric | value and 95 % interval | n |
|---|---|---|
{scores}

{use}

Trained with these parameters:

```json
{parameters}
```
"""
USE = {
    "words": """A word's label is that of its first token. `token_type_ids` say each token's letter
case, where `casing` in `workbench.json` is true: 0 no letters and special tokens, 1 lower,
2 Capitalised, 3 one capital letter, 4 UPPER, 5 miXed. Without them capitals are not seen.
`workbench predict` does both, cuts raw text into words as `workbench/data/words.py` says, takes
words as they are from a `.conll` file or a column `tokens`, and gives the best valid tag sequence;
with `window_averaging` among the
`extras` of that file it averages over windows of three sizes, with `document_smoothing` over a
word's occurrences in a document.""",
    "texts": """A text's logits are the mean of its tokens' logits, special tokens among them. Where
it has more than {max_tokens} tokens it is read in windows of at most {max_tokens}, each between
special tokens of its own; {most} of them at most are read:

```python
import math
from collections.abc import Sequence

import torch


{even_spans}

def probabilities(text):
    read = tokenizer(text, add_special_tokens=False)
    logits = []
    for start, end in even_spans(read.word_ids(), {max_tokens}, {most}):
        window = read["input_ids"][start:end]
        ids = [tokenizer.cls_token_id, *window, tokenizer.sep_token_id]
        logits.append(model(input_ids=torch.tensor([ids])).logits[0])
    return torch.cat(logits).mean(0).softmax(-1)
```""",
}


def _use_of_texts(max_tokens: int) -> str:
    code = inspect.getsource(even_spans).replace(" = MAX_WINDOWS", "")
    return USE["texts"].format(max_tokens=max_tokens, most=MAX_WINDOWS, even_spans=code)


def _plain(model: Classifier) -> Any:
    """The same classifier in transformers' own class; checked on a sample."""
    network: Any = merged(model.encoder.network)
    config = copy.deepcopy(network.config)
    config.id2label = dict(enumerate(model.labels))
    config.label2id = {label: index for index, label in config.id2label.items()}
    refused = ParameterError(
        f"a classifier of model_type {config.model_type!r} can't be written for transformers",
        expected="an encoder whose token classifier is a linear head, such as BERT",
    )
    try:
        plain = AutoModelForTokenClassification.from_config(config).eval()
        base = getattr(plain, plain.base_model_prefix)
        lacking = base.load_state_dict(network.state_dict(), strict=False).missing_keys
        plain.classifier.load_state_dict(model.head.folded())
    except (ValueError, AttributeError, RuntimeError) as error:
        raise refused from error
    shapes = model.encoder.shapes
    if shapes is not None:
        types = getattr(base.get_submodule("embeddings"), "token_type_embeddings", None)
        if types is None:
            raise refused
        with torch.no_grad():
            table = nn.Embedding(*shapes.weight.shape)
            table.weight.copy_(types.weight[:1] + shapes.weight.cpu())
        base.embeddings.token_type_embeddings = table
        plain.config.type_vocab_size = len(SHAPES)
        plain.config.word_shapes = True
    if lacking or not _same(model, plain) or getattr(model, "attention", None):
        raise refused
    return plain


def _same(model: Classifier, plain: nn.Module) -> bool:
    """Whether both give the logits of a sample, letter case included."""
    words = SAMPLE.split()
    (segment,) = model.encoder.segments([words], [0])
    batch = model.encoder.collate([[segment]])
    with torch.inference_mode():
        types = {} if model.encoder.shapes is None else {"token_type_ids": batch.shapes.cpu()}
        theirs = plain(input_ids=batch.input_ids.cpu(), **types).logits
        ours = model.head(model.encoder.states(batch)).cpu()
    return torch.allclose(ours, theirs, atol=NEAR)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != CARD_FILE
    }
