"""Models as people have them: loaded as they lie, or refused in one error; no code is run."""

import ast
import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from workbench.batch import server
from workbench.core import machine, paths, sources
from workbench.core.errors import IntegrityError, MachineError, ParameterError, WorkbenchError
from workbench.decoding.score import log_likelihoods
from workbench.models.causal_lm import CausalLM
from workbench.models.checkpoint import Checkpoint, Folder
from workbench.models.encoder import Encoder
from workbench.models.loading import GIB, placement

CONTEXTS, CONTINUATIONS = ["ab ab", "ba a"], [" b", " ab", " a"]
LOAD = """
import sys
from workbench.core import sources
from workbench.core.errors import WorkbenchError
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
try:
    {"decoder": CausalLM, "encoder": Encoder}[sys.argv[1]](sources.resolve(sys.argv[2], "model"))
except WorkbenchError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def decoder_in(folder, *, dtype=torch.float32, shard="5GB", **changes):
    """A random Llama of a few letters' vocabulary, in shards of at most that size."""
    words = {"<end>": 0, "<unk>": 1, "a": 2, "b": 3, "ab": 4, "ba": 5, " ": 6}
    rule = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    rule.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=rule, unk_token="<unk>", eos_token="<end>", pad_token="<end>"
    ).save_pretrained(folder)
    small = {
        "vocab_size": 16, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": False,
    }  # fmt: skip
    torch.manual_seed(0)
    network = LlamaForCausalLM(LlamaConfig(**small | changes)).to(dtype)
    network.save_pretrained(folder, max_shard_size=shard)
    return folder


def source(folder):
    return sources.Source(str(folder), Path(folder), "0" * 64, "a model of this test")


def as_command(code, arguments, folder):
    """Run code as `python -c` does, with the input and the output in files of a folder."""
    for number, (name, flags) in enumerate(
        [("in", os.O_RDONLY), ("out", os.O_WRONLY | os.O_CREAT), ("err", os.O_WRONLY | os.O_CREAT)]
    ):
        os.dup2(os.open(folder / name, flags), number)
    sys.stdin = open(0)  # noqa: SIM115  multiprocessing has put nothing there
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102


@pytest.fixture
def python(tmp_path):
    """Run code with arguments and an input in a forked process, seconds sooner than a new one."""
    folders = (tmp_path / f"process-{number}" for number in itertools.count())

    def call(code: str, *arguments: str, given: str = "") -> SimpleNamespace:
        folder = next(folders)
        folder.mkdir()
        (folder / "in").write_text(given)
        processes = server.start(os.environ)
        process = processes.Process(target=as_command, args=(code, arguments, folder))
        process.start()
        process.join(300)
        said = {name: (folder / name).read_text() for name in ("out", "err")}
        return SimpleNamespace(code=process.exitcode, **said)

    return call


def edit(path, **changes):
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | changes))


@pytest.fixture
def decoder(tmp_path):
    return decoder_in(tmp_path / "model")


@pytest.fixture
def sharded(tmp_path):
    folder = decoder_in(tmp_path / "model", dtype=torch.bfloat16, shard="10kB")
    assert len(list(folder.glob("model-*.safetensors"))) > 3
    return folder


# What is loaded


def test_a_sharded_model_is_read_in_float32_and_held_in_bfloat16_where_asked(sharded):
    own = torch.cat([load_file(p)[k].flatten() for p in sorted(sharded.glob("*.safetensors"))
                     for k in sorted(load_file(p))])  # fmt: skip
    exact, rough = CausalLM(source(sharded)), CausalLM(source(sharded), "bfloat16")
    assert machine.held(exact) == ("float32", "cpu")
    assert machine.held(rough) == ("bfloat16", "cpu")
    assert "held in bfloat16 on cpu" in rough.describe()
    for name, weight in rough.network.state_dict().items():
        assert weight.equal(exact.network.state_dict()[name].bfloat16())
    assert sum(w.numel() for w in exact.parameters()) == own.numel()
    assert float(own.double().sum()) == pytest.approx(
        float(sum(w.detach().double().sum() for w in exact.parameters())), abs=1e-9
    )


def test_a_model_held_in_bfloat16_scores_nearly_as_in_float32(sharded):
    exact, rough = CausalLM(source(sharded)), CausalLM(source(sharded), "bfloat16")
    found = log_likelihoods(rough, CONTEXTS, CONTINUATIONS)
    wanted = log_likelihoods(exact, CONTEXTS, CONTINUATIONS)
    assert found.sums == pytest.approx(wanted.sums, abs=0.05)
    assert not (found.sums == wanted.sums).all(), "else nothing was rounded"
    states = torch.randn(3, 32)
    in_float32 = torch.nn.functional.linear(states, rough.head.weight.float())
    torch.testing.assert_close(rough.logits(states), in_float32)
    assert rough.logits(states).dtype == torch.float32


def test_cost_says_what_weights_are_held_in_where_products_differ(decoder):
    model = CausalLM(source(decoder))
    place = torch.device("cpu")
    assert machine.spent(0, place, torch.float32, model)["precision"] == "float32"
    said = machine.spent(0, place, torch.bfloat16, model)
    assert said["precision"] == "bfloat16, weights in float32"
    assert said["device"] == "cpu"
    model = CausalLM(source(decoder), "bfloat16")
    assert machine.spent(0, place, torch.bfloat16, model)["precision"] == "bfloat16"


@pytest.mark.parametrize("own", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_are_held_in_16_bits_only_where_asked_or_on_a_gpu(own, monkeypatch):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr(machine, "_multiplies_bfloat16", lambda _: True)
    for wanted in ("auto", "float32"):
        assert machine.held_in(wanted, own, cpu) == torch.float32
    assert machine.held_in("bfloat16", own, cpu) == torch.bfloat16
    assert machine.held_in("float32", own, gpu) == torch.float32
    expected = torch.float32 if own == torch.float32 else torch.bfloat16
    assert machine.held_in("auto", own, gpu) == expected


PEAK = """
import sys
from pathlib import Path
from workbench.core import sources
from workbench.models.causal_lm import CausalLM
def mib(name):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024
def source(folder):
    return sources.Source(folder, Path(folder), "0" * 64, "")
CausalLM(source(sys.argv[3]), sys.argv[2])  # what is imported and set up at first use
before, anonymous = mib("VmRSS"), mib("RssAnon")
model = CausalLM(source(sys.argv[1]), sys.argv[2])
weights = sum(w.numel() * w.element_size() for w in model.parameters()) / 2**20
for w in model.parameters():
    float(w.reshape(-1)[:: 512].sum())  # touch each page
print((mib("VmHWM") - before) / weights, (mib("RssAnon") - anonymous) / weights, weights)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak on Linux only")
def test_loading_a_sharded_model_makes_no_second_copy_of_it(tmp_path, python):
    folder = decoder_in(
        tmp_path / "large", dtype=torch.bfloat16, shard="40MB",
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=6, num_attention_heads=8,
    )  # fmt: skip
    small = decoder_in(tmp_path / "small", dtype=torch.bfloat16, shard="40MB")
    for precision in ("bfloat16", "float32"):
        done = python(PEAK, str(folder), precision, str(small))
        assert done.code == 0, done.err
        peak, anonymous, weights = map(float, done.out.split())
        assert weights > 150
        assert anonymous < 1.1, "kept in memory"
        # A file in fewer bits is mapped while it is read: half the size of what is made of it.
        assert peak < (1.3 if precision == "bfloat16" else 1.3 + 0.5)


def huge(folder, elements):
    """A header that promises so many bfloat16 numbers, in a file that takes no room on the disk."""
    header = {
        "lm_head.weight": {"dtype": "BF16", "shape": [elements], "data_offsets": [0, 2 * elements]}
    }
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + 2 * elements)


@pytest.mark.parametrize(("precision", "needed"), [("auto", "8,19"), ("bfloat16", "4,09")])
@pytest.mark.fault(
    51, "weights that don't fit the memory", "exit 9 with the numbers, nothing is read"
)
def test_a_model_too_large_for_the_memory_is_refused_before_it_is_read(decoder, precision, needed):
    huge(decoder, 2 * 10**12)
    with pytest.raises(MachineError, match="doesn't fit") as error:
        CausalLM(source(decoder), precision)
    said = str(error.value)
    assert f"it needs {needed}" in said
    assert "GiB free" in said
    assert "a smaller model" in said
    assert ("precision = 'bfloat16'" in said) == (precision == "auto")
    assert error.value.exit_code == 9


@pytest.fixture
def placed(tmp_path, monkeypatch):
    """Place 10 GiB of weights in float32 on made-up GPUs with so many GiB free."""
    weights = Checkpoint(Folder(source(tmp_path), "decoder", tmp_path), {"F32": 10 * GIB // 4})

    def place(*free, several=True, dtype=torch.float32):
        gpus = [torch.device("cuda", index) for index in range(len(free))]
        monkeypatch.setattr(machine, "gpus", lambda: gpus)
        monkeypatch.setattr(machine, "free_memory", lambda gpu: free[gpu.index] * GIB)
        return placement(weights, dtype, gpus[0], several=several)

    return place


def test_weights_go_onto_one_gpu_where_it_has_room(placed):
    first = torch.device("cuda", 0)
    assert placed(12) == {"device_map": {"": first}}
    assert placed(12, 40) == {"device_map": {"": first}}, "no other is needed"
    assert placed(6, dtype=torch.bfloat16) == {"device_map": {"": first}}, "half the size"


def test_weights_are_divided_where_one_gpu_is_too_small_and_each_keeps_room(placed):
    found = placed(8, 4)
    assert found["device_map"] == "auto"
    assert found["max_memory"] == {0: int(8 * GIB / 1.1), 1: int(4 * GIB / 1.1)}
    assert sum(found["max_memory"].values()) >= 10 * GIB


@pytest.mark.parametrize(
    ("free", "options", "has", "advice"),
    [
        (
            (8,),
            {},
            "11.0 GiB, the device cuda:0 has 8.0",
            "where the notebook has it (5.5 GiB), or more GPUs",
        ),
        ((8, 4), {"several": False}, "11.0 GiB, the device cuda:0 has 8.0", "more GPUs, or larger"),
        ((6, 4), {}, "11.0 GiB, 2 GPUs together has 10.0", "more GPUs, or larger"),
        ((2, 3), {"dtype": torch.bfloat16}, "5.5 GiB, 2 GPUs together has 5.0", "a smaller model"),
    ],
    ids=["one", "one of two", "two", "two in bfloat16"],
)
def test_weights_that_no_gpu_has_room_for_are_refused_with_the_numbers(
    placed, free, options, has, advice
):
    with pytest.raises(MachineError) as error:
        placed(*free, **options)
    said = str(error.value)
    assert f"it needs {has} GiB free" in said
    assert advice in said
    assert ("precision = 'bfloat16'" in said) == ("dtype" not in options)


def test_a_gguf_file_may_be_given_itself_and_one_of_several_must_be(tmp_path):
    from test_causal_lm import tiny_gguf

    os.environ["WORKBENCH_RAW"], before = str(tmp_path / "raw"), os.environ.get("WORKBENCH_RAW")
    try:
        (tmp_path / "raw" / "tiny").mkdir(parents=True)
        file = tmp_path / "raw" / "tiny" / "model.gguf"
        tiny_gguf(file)
        assert CausalLM(sources.resolve(str(file), "model")).capacity == 64
        shutil.copy(file, file.with_name("other.gguf"))
        with pytest.raises(ParameterError, match="holds 2 GGUF files(.|\n)*such as .*model.gguf"):
            CausalLM(source(file.parent))
    finally:
        os.environ.pop("WORKBENCH_RAW")
        os.environ |= {"WORKBENCH_RAW": before} if before else {}


def test_an_encoder_without_a_pooler_loads_without_a_word(tiny_bert, tmp_path, capfd):
    folder = shutil.copytree(tiny_bert, tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    without = {name: value for name, value in weights.items() if "pooler" not in name}
    without["cls.predictions.bias"] = torch.zeros(3)
    assert len(without) == len(weights) - 1
    save_file(without, folder / "model.safetensors", metadata={"format": "pt"})
    Encoder(source(folder))
    assert capfd.readouterr() == ("", "")
    del without["encoder.layer.0.output.dense.bias"]
    save_file(without, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"lacks 1 weights, such as encoder\.layer\.0\.output"):
        Encoder(source(folder))


# What is another format


def code_of(error):
    """The code of the command line that an error tells, which must run as it is written."""
    (line,) = [line for line in str(error).splitlines() if line.startswith("python -c ")]
    program, option, code = shlex.split(line)
    assert (program, option) == ("python", "-c")
    return code


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_pickled_weights_are_named_and_the_command_converts_them(decoder, tiny_bert, tmp_path):
    wanted = log_likelihoods(CausalLM(source(decoder)), CONTEXTS, CONTINUATIONS)
    pickled(decoder)
    with pytest.raises(IntegrityError, match=r"weights are pickled \(pytorch_model.bin\)") as error:
        CausalLM(source(decoder))
    command = [sys.executable, "-c", code_of(error.value)]
    subprocess.run(command, check=True, capture_output=True)
    found = CausalLM(source(f"{decoder}-safetensors"))
    assert (log_likelihoods(found, CONTEXTS, CONTINUATIONS).sums == wanted.sums).all()
    folder = shutil.copytree(tiny_bert, tmp_path / "bert")
    pickled(folder)
    with pytest.raises(IntegrityError, match="AutoModel as Model"):
        Encoder(source(folder))


def test_an_adapter_is_named_and_the_command_merges_it(decoder, tmp_path, python):
    from peft import LoraConfig, get_peft_model

    network = LlamaForCausalLM.from_pretrained(decoder, trust_remote_code=False)
    adapter = tmp_path / "it's an adapter"
    get_peft_model(network, LoraConfig(r=2, init_lora_weights=False)).save_pretrained(adapter)
    for kind in (CausalLM, Encoder):
        with pytest.raises(IntegrityError, match="it is a PEFT adapter of") as error:
            kind(source(adapter))
    assert python(code_of(error.value)).code == 0
    merged = CausalLM(source(f"{adapter}-merged"))
    assert merged.network.config.num_hidden_layers == 2


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(decoder, python):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(decoder, trust_remote_code=False)
    tokenizer.add_tokens([f"<{number}>" for number in range(20)])
    tokenizer.save_pretrained(decoder)
    with pytest.raises(
        IntegrityError, match="tokens up to 26, its network embeddings of 16"
    ) as error:
        CausalLM(source(decoder))
    assert python(code_of(error.value)).code == 0
    assert CausalLM(source(f"{decoder}-resized")).vocabulary == 27


def test_a_sentence_transformers_folder_is_told_where_its_encoder_is(tiny_bert, tmp_path):
    folder = tmp_path / "st"
    shutil.copytree(tiny_bert, folder / "0_Transformer")
    (folder / "modules.json").write_text("[]")
    with pytest.raises(ParameterError, match="sentence-transformers folder") as error:
        Encoder(source(folder))
    assert str(folder / "0_Transformer") in str(error.value)
    Encoder(source(folder / "0_Transformer"))


def without(name):
    return lambda folder: (folder / name).unlink()


def no_tokenizer(folder):
    for path in folder.glob("token*"):
        path.unlink()


WRONG = {
    "no config": (without("config.json"), "it has no config.json"),
    "no weights": (without("model.safetensors"), "holds no weights as safetensors"),
    "no tokenizer": (no_tokenizer, "holds no tokenizer"),
    "config cut": (lambda f: (f / "config.json").write_text("{"), "config.json can't be read"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), "holds no JSON object"),
    "unknown type": (lambda f: edit(f / "config.json", model_type="no-such-type"), "no-such-type"),
    "odd size": (lambda f: edit(f / "config.json", hidden_size="wide"), "can't be used as"),
    "quantized": (
        lambda f: edit(f / "config.json", quantization_config={"quant_method": "awq"}),
        "quantized weights, which need another package",
    ),
    "other weights": (
        lambda f: edit(f / "config.json", transformers_weights="../x.safetensors"),
        "names other files as its weights",
    ),
    "other attention": (
        lambda f: edit(f / "config.json", _attn_implementation_internal="someone/kernel"),
        "asks for other code",
    ),
    "other attention below": (
        lambda f: edit(f / "config.json", text_config={"attn_implementation": "someone/kernel"}),
        "asks for other code",
    ),
    "shards of ranks": (
        lambda f: shutil.copy(
            f / "model.safetensors", f / "shard-00001-model-00001-of-00001.safetensors"
        ),
        "checkpoint of several processes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("role", ["decoder", "encoder"])
@pytest.mark.fault(52, "folders of models that can't be read", "exit 4 with what to do")
def test_what_is_wrong_with_a_folder_is_said_in_one_error(role, wrong, tiny_bert, tmp_path):
    change, says = WRONG[wrong]
    folder = tmp_path / "model"
    if role == "decoder":
        decoder_in(folder)
    else:
        shutil.copytree(tiny_bert, folder)
    change(folder)
    with pytest.raises(WorkbenchError) as error:
        {"decoder": CausalLM, "encoder": Encoder}[role](source(folder))
    assert says in str(error.value)
    assert "\ndo: " in str(error.value)
    assert error.value.exit_code in (2, 4)


def test_an_encoder_with_a_decoder_is_neither(tmp_path, decoder):
    small = {"d_model": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "d_kv": 8, "vocab_size": 8}
    T5EncoderModel(T5Config(**small)).save_pretrained(decoder)
    kind = ["T5ForConditionalGeneration"]
    edit(decoder / "config.json", architectures=kind, is_encoder_decoder=True)
    for model in (CausalLM, Encoder):
        with pytest.raises(ParameterError, match="an encoder with a decoder .T5ForConditional"):
            model(source(decoder))


def test_an_encoder_is_no_decoder(tiny_bert):
    with pytest.raises(
        ParameterError, match="is no decoder: its config.json names BertModel, which"
    ):
        CausalLM(source(tiny_bert))


# What gets in


def index(folder, change):
    path = folder / "model.safetensors.index.json"
    found = json.loads(path.read_text())
    key, name = next(iter(found["weight_map"].items()))
    change(folder, found["weight_map"], key, name)
    path.write_text(json.dumps(found))


def names(new):
    return lambda _folder, places, key, _name: places.update({key: new})


def linked(folder, _places, _key, name):
    outside = folder.parent / "outside.safetensors"
    shutil.move(folder / name, outside)
    (folder / name).symlink_to(outside)


INDEXES = {
    "a .bin": (names("pytorch_model.bin"), "which is no safetensors file"),
    "above": (names("../x.safetensors"), "which is no file of its folder"),
    "absolute": (names("/x.safetensors"), "which is no file of its folder"),
    "below": (names("sub/x.safetensors"), "which is no file of its folder"),
    "a number": (names(3), "which is no file of its folder"),
    "missing": (names("model-9.safetensors"), "are missing: model-9.safetensors"),
    "a link out": (linked, "is a link out of its folder"),
    "other keys": (
        lambda _folder, places, _key, name: places.update({"model.more": name}),
        "lacks 1 weights of model.safetensors.index.json, such as model.more",
    ),
    "no map": (lambda _folder, places, _key, _name: places.clear(), "has no weight_map"),
}


@pytest.mark.parametrize("wrong", INDEXES)
@pytest.mark.fault(
    49, "an index that names pickled weights, or files elsewhere", "exit 4, nothing is loaded"
)
def test_an_index_is_checked_before_anything_is_loaded(sharded, wrong, monkeypatch):
    change, says = INDEXES[wrong]
    torch.save({}, sharded / "pytorch_model.bin")
    for path in (sharded / "../x.safetensors", sharded / "sub" / "x.safetensors"):
        path.parent.mkdir(exist_ok=True)
        save_file({"lm_head.weight": torch.zeros(16, 32)}, path)
    index(sharded, change)
    calls = []
    monkeypatch.setattr("torch.load", lambda *_args, **_options: calls.append("pickle"))
    with pytest.raises(IntegrityError, match="can't be used as a decoder") as error:
        CausalLM(source(sharded))
    assert says in str(error.value)
    assert not calls


def test_the_links_of_the_hubs_cache_are_followed(decoder, tmp_path):
    place = tmp_path / "models--ours--tiny" / "snapshots" / "0123"
    place.mkdir(parents=True)
    blobs = place.parent.parent / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(decoder.iterdir())):
        shutil.copy(path, blobs / str(number))
        (place / path.name).symlink_to(Path("../../blobs") / str(number))
    CausalLM(source(place))


CODE = """
from pathlib import Path
Path({marker!r}).write_text("run")
from transformers import BertConfig as OwnConfig, BertModel as OwnModel
"""


def with_own_code(folder, marker, **config):
    (folder / "own.py").write_text(CODE.format(marker=str(marker)))
    classes = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    classes |= {"AutoModelForCausalLM": "own.OwnModel"}
    edit(folder / "config.json", auto_map=classes, **config)
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.OwnModel", None]})


@pytest.mark.parametrize("stdin", ["closed", "open"])
@pytest.mark.parametrize("role", ["decoder", "encoder"])
@pytest.mark.fault(50, "a model with code of its own", "exit 4, no question, the code is not run")
def test_code_of_a_model_is_not_run_and_nobody_is_asked(role, stdin, tiny_bert, tmp_path, python):
    folder, marker = tmp_path / "model", tmp_path / "marker"
    if role == "decoder":
        decoder_in(folder)
    else:
        shutil.copytree(tiny_bert, folder)
    kind = "OwnForCausalLM" if role == "decoder" else "OwnModel"
    with_own_code(folder, marker, architectures=[kind], model_type="own")
    done = python(LOAD, role, str(folder), given="" if stdin == "closed" else "y\ny\ny\n")
    assert done.code == 4, done.err
    assert "code that comes with a model is never run" in done.out
    assert "[y/N]" not in done.out + done.err
    assert not marker.exists()


def test_where_transformers_has_the_classes_its_own_are_used(decoder, tmp_path):
    wanted = log_likelihoods(CausalLM(source(decoder)), CONTEXTS, CONTINUATIONS)
    with_own_code(decoder, tmp_path / "marker")
    known = json.loads((decoder / "tokenizer_config.json").read_text())
    del known["auto_map"]
    (decoder / "tokenizer_config.json").write_text(json.dumps(known))
    found = log_likelihoods(CausalLM(source(decoder)), CONTEXTS, CONTINUATIONS)
    assert (found.sums == wanted.sums).all()
    assert not (tmp_path / "marker").exists()


def test_every_call_that_loads_says_that_no_code_may_run():
    calls = []
    for path in paths.PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "from_pretrained":
                given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                calls.append((path.name, node.lineno, given.get("trust_remote_code")))
    assert calls
    assert {said for *_, said in calls} == {"False"}, calls


def test_a_bert_whose_config_names_no_class_is_an_encoder(tiny_bert, tmp_path):
    folder = shutil.copytree(tiny_bert, tmp_path / "bert")
    edit(folder / "config.json", architectures=None)
    assert isinstance(Encoder(source(folder)).network, BertModel)
    assert isinstance(Encoder(source(folder)).network.config, BertConfig)
