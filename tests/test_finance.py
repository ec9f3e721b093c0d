"""The finance task: nothing looks ahead, planted leaks are caught, the verdict errs as stated."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from workbench import figures, flow, tables, tasks
from workbench.core.errors import DataError, ParameterError
from workbench.data import market
from workbench.record.result import Metric
from workbench.tasks.finance import market_words, verdict, walk_forward
from workbench.tasks.finance import methods as finance_methods
from workbench.tasks.finance import run as finance
from workbench.tasks.finance import scores as finance_scores
from workbench.tasks.finance import seeds as finance_seeds
from workbench.tasks.finance.methods import (
    LAST_MOVE,
    LOGISTIC,
    MAJORITY,
    OPPOSITE,
    OWN,
    PLACEBO,
    Answer,
    logistic,
    majority,
)
from workbench.tasks.finance.walk_forward import Fold, Inputs, Said

SPEAK = partial(market_words.speak, history=5)
DAYS, TRAIN_DAYS, EMBARGO = 5000, 1500, 5
SEEDS = 50
AT_MOST_YES_ON_A_RANDOM_WALK = 4
"""Of 50 at a rate of 2.5 %: a fifth has a probability under 1 %."""
AT_LEAST_YES_WITH_AN_EDGE = 40


def walked(
    edge: float, seed: int, *, days: int = DAYS, train_days: int = TRAIN_DAYS, rising: float = 0.5
):
    """A generated market as examples, and its folds."""
    markets = {"made": market.generated(days, edge=edge, seed=seed, rising=rising)}
    examples = market_words.examples(markets, {"made": SPEAK(markets["made"].prices)})
    cuts = walk_forward.folds(examples, 4, train_days=train_days, embargo_days=EMBARGO)
    return examples, cuts


def judged(examples, cuts, learner, *, seed: int = 0) -> verdict.Verdict:
    return tried(examples, cuts, {"it": learner}, seed=seed)["it"]


def tried(examples, cuts, learners, *, seed: int) -> dict[str, verdict.Verdict]:
    found = finance_scores.try_out(examples, cuts, learners, embargo_days=EMBARGO, seed=seed)
    return {name: said for name, (said, _) in found.items()}


@pytest.fixture(scope="module")
def ran(tiny_bert):
    """A tiny encoder on the small fixture, trained with two seeds."""
    changes = {"model": str(tiny_bert), "seeds": 2, "precision": "float32"}
    config = finance.Config.check(tasks.TASKS["finance"].SMOKE | changes)
    return flow.run(config, finance.load_model(config), finance.load_data(config))


def test_words_follow_the_template_and_name_no_day_and_no_market():
    prices = market.generated(400, edge=0, seed=1).prices
    said = SPEAK(prices)
    assert said.texts[:65] == [""] * 65
    assert all(said.texts[65:])
    assert not any(character.isdigit() for text in said.texts for character in text)
    day = 200
    returns = np.diff(np.log(prices))
    usual = [np.sqrt(np.mean(returns[end - 60 : end] ** 2)) for end in range(day - 5, day)]
    assert said.numbers[day] == pytest.approx(returns[day - 5 : day] / usual)
    last = "rises" if returns[day - 1] > 0 else "falls"
    size = sum(abs(said.numbers[day, -1]) >= limit for limit in (0.4, 1.2))
    assert said.texts[day].endswith(f"then {getattr(market_words.words(), last)[size]}.")


def test_a_market_that_stood_still_and_then_moves_is_said_in_finite_numbers():
    prices = np.concatenate([np.full(150, 50.0), [55.0], np.full(49, 55.0)])
    said = SPEAK(prices)
    assert said.texts[149] == (
        "The market stood still, stood still, stood still, stood still, then stood still."
    )
    assert said.texts[150].endswith("then jumped up.")
    assert np.isfinite(said.numbers[65:]).all()


def peeks_at_tomorrow(prices) -> Inputs:
    return SPEAK(np.append(prices[1:], prices[-1]))


def scales_by_all_days(prices) -> Inputs:
    honest = SPEAK(prices)
    return replace(honest, numbers=honest.numbers / np.diff(np.log(prices)).std())


def tells_of_the_day_after_in_calm_times_only(prices) -> Inputs:
    honest, later = SPEAK(prices), peeks_at_tomorrow(prices)
    calm = np.nan_to_num(np.abs(honest.numbers).max(axis=1)) < 2.5
    mixed = [b if c else a for a, b, c in zip(honest.texts, later.texts, calm, strict=True)]
    return replace(honest, texts=mixed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("speaker", "what"),
    [
        (peeks_at_tomorrow, "texts"),
        (scales_by_all_days, "numbers"),
        (tells_of_the_day_after_in_calm_times_only, "texts"),
    ],
)
def test_words_or_numbers_that_look_ahead_are_refused(speaker, what, seed):
    prices = market.generated(600, edge=0, seed=seed).prices
    with pytest.raises(DataError, match=f"the {what} look ahead"):
        market_words.audit(speaker, prices, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_the_projects_own_words_pass_the_audit(seed):
    prices = market.generated(600, edge=0.05, seed=seed).prices
    assert market_words.audit(SPEAK, prices, seed=seed) == market_words.CUTS


def test_the_task_audits_before_it_says_anything(monkeypatch):
    monkeypatch.setattr(market_words, "speak", lambda prices, **_: peeks_at_tomorrow(prices))
    with pytest.raises(DataError, match="the texts look ahead"):
        finance.load_data(finance.Config.check(tasks.TASKS["finance"].SMOKE))


def test_folds_go_forward_in_time_and_skip_the_embargo():
    examples, cuts = walked(0, 0, days=1000, train_days=300)
    for cut, later in zip(cuts, [*cuts[1:], None], strict=True):
        begin = examples.known_at[cut.test].min()
        assert examples.resolves_at[cut.train].max() == begin - EMBARGO
        assert len(cut.train) == 300
        if later:
            assert later.test.min() == cut.test.max() + 1
    assert cuts[-1].test.max() == len(examples) - 1


def test_a_split_at_random_is_refused():
    examples, _ = walked(0, 0, days=1000, train_days=300)
    mixed = np.random.default_rng(0).permutation(len(examples))
    cut = Fold(train=mixed[:600], test=mixed[600:])
    with pytest.raises(DataError, match="the split looks ahead"):
        walk_forward.walk(examples, [cut], majority, embargo_days=1)


def test_one_day_less_than_the_embargo_is_refused():
    examples, _ = walked(0, 0, days=1000, train_days=300)
    rows = np.arange(len(examples))
    walk_forward.refuse_look_ahead(examples, Fold(rows[:300], rows[305:]), embargo_days=5)
    with pytest.raises(DataError, match="1 of 300 training labels"):
        walk_forward.refuse_look_ahead(examples, Fold(rows[:300], rows[304:]), embargo_days=5)


def test_a_method_never_holds_the_labels_it_is_asked_for():
    examples, cuts = walked(0, 0, days=1000, train_days=300)
    seen = []

    def spy(inputs, labels):
        def predict(asked):
            seen.append((len(inputs), list(labels), list(vars(asked))))
            return majority(inputs, labels)(asked)

        return predict

    walk_forward.walk(examples, cuts, spy, embargo_days=EMBARGO)
    for cut, (count, labels, names) in zip(cuts, seen[::2], strict=True):
        assert count == len(cut.train)
        assert labels == examples.labels_of(cut.train)
        assert names == ["texts", "numbers"]


def test_the_placebo_moves_texts_within_a_market_and_a_span():
    markets = {
        name: market.generated(700, edge=0, seed=seed) for seed, name in enumerate(("a", "b"))
    }
    examples = market_words.examples(
        markets, {name: SPEAK(found.prices) for name, found in markets.items()}
    )
    cuts = walk_forward.folds(examples, 2, train_days=200, embargo_days=EMBARGO)
    given = []

    def spy(inputs, labels):
        def predict(asked):
            given.append(asked)
            return majority(inputs, labels)(asked)

        return predict

    for placebo in (None, 3):
        walk_forward.walk(examples, cuts, spy, embargo_days=EMBARGO, placebo=placebo)
    for right, mixed in zip(given[:4], given[4:], strict=True):
        assert right.texts != mixed.texts
        for first in (0, 1):  # the markets alternate
            assert sorted(right.texts[first::2]) == sorted(mixed.texts[first::2])


def knows_each_month(examples, cuts):
    """Leaks the labels of the test: guesses each block's more frequent direction."""
    rows = walk_forward.rows_asked(cuts)
    blocks = walk_forward.blocks(examples, rows)
    rose = np.array([label == "up" for label in examples.labels_of(rows)])
    share = np.array([rose[blocks == block].mean() for block in blocks])
    return remembered(cuts, share)


def knows_the_order(examples, cuts):
    """Leaks the labels of the test: remembers them by place, one in five."""
    rose = np.array([label == "up" for label in examples.labels_of(walk_forward.rows_asked(cuts))])
    chance = np.random.default_rng(0)
    kept = chance.random(len(rose)) < 0.2
    return remembered(cuts, np.where(kept, rose, chance.random(len(rose))))


def remembered(cuts, rising):
    """A method that says `rising` of the test days, and one half of the days of training."""
    parts = iter(np.split(rising, np.cumsum([len(cut.test) for cut in cuts])[:-1]) * 2)

    def learner(seen, _labels):
        answers = iter([next(parts), np.linspace(0.4, 0.6, len(seen))])
        return lambda _: np.stack([1 - (part := next(answers)), part], axis=1)

    return learner


@pytest.mark.parametrize("leak", [knows_each_month, knows_the_order])
def test_labels_that_leak_past_the_texts_are_found_by_the_placebo(leak):
    examples, cuts = walked(0, 0)
    found = judged(examples, cuts, leak(examples, cuts))
    assert found.answer == "withheld"
    assert "something leaks" in found.reason


@pytest.mark.long
def test_the_verdict_errs_at_its_stated_rates():
    """Fifty markets with an edge of five points and fifty without, 5,000 days each."""
    answers = {
        edge: [judged(*walked(edge, seed), logistic, seed=seed).answer for seed in range(SEEDS)]
        for edge in (0.05, 0.0)
    }
    assert answers[0.05].count("yes") >= AT_LEAST_YES_WITH_AN_EDGE
    assert answers[0.0].count("yes") <= AT_MOST_YES_ON_A_RANDOM_WALK
    assert answers[0.0].count("no") > SEEDS / 2
    for found in answers.values():
        assert found.count("withheld") <= AT_MOST_YES_ON_A_RANDOM_WALK


@pytest.mark.long
def test_a_market_that_mostly_rises_does_not_hide_an_edge():
    """Where 54 % of days rise, the more probable direction is up after most texts."""
    found = [judged(*walked(0.05, seed, rising=0.54), logistic, seed=seed) for seed in range(20)]
    assert [verdict.answer for verdict in found].count("yes") >= 0.8 * len(found)


def test_the_detectable_edge_follows_from_the_interval():
    nothing = Metric(value=0, low=-0.0392, high=0.0392, n=9, how="bootstrap")
    found = verdict.judge(nothing, nothing, blocks=50)
    assert found.detectable == pytest.approx(2.8 * 0.02)
    assert verdict.judge(nothing, nothing, blocks=29).answer == "cannot tell"
    assert "29 blocks of days are too few" in verdict.judge(nothing, nothing, blocks=29).reason


class Coin:
    """A learner that says the planted rule on some days, and else what its seed draws."""

    trainable = tokens = 0
    seconds = 0.0

    def __init__(self, name: str, seed: int, *, knows: float = 0.0) -> None:
        self.chance, self.knows = np.random.default_rng([seed, len(name)]), knows

    def __call__(self, _seen, _labels):
        def predict(asked):
            rise = np.where(
                self.chance.random(len(asked)) < self.knows,
                asked.numbers[:, -1] < 0,
                self.chance.random(len(asked)),
            )
            return np.stack([1 - rise, rise], axis=1)

        return predict


def judged_together(edge: float, seed: int, *, days: int = 3000, learner=Coin, seeds=(0,)) -> dict:
    """The verdict table of all methods on a generated market, the encoder's place taken by a coin.

    The real encoder on such markets is what benchmarks/finance_verdict.py tries.
    """
    examples, cuts = walked(edge, seed, days=days, train_days=1000)
    answers = finance_methods.answer(examples, cuts, learner, embargo_days=EMBARGO, seeds=seeds)
    scored = finance_scores.score(examples, cuts, answers)
    return finance_scores.tables(examples, cuts, answers, scored)["verdict"]


def test_every_method_is_judged_and_a_reversal_is_found():
    found = judged_together(-0.06, 1, days=5000)
    methods = found["methods"]
    assert list(methods) == [OWN, LAST_MOVE, OPPOSITE, LOGISTIC]
    assert [one["answer"] for one in methods.values()][1:] == ["no", "yes", "yes"]
    assert methods[OWN]["answer"] in ("no", "cannot tell")
    assert "the opposite of what it says has an edge" in methods[LAST_MOVE]["reason"]
    assert methods[OPPOSITE]["sharpe"]["value"] == -methods[LAST_MOVE]["sharpe"]["value"]
    assert methods[OPPOSITE]["sharpe"]["low"] > 0
    assert methods[OPPOSITE]["p"] == methods[LAST_MOVE]["p"] <= 0.05


def test_of_many_methods_without_an_edge_one_is_said_to_have_it_as_seldom_as_of_one():
    learners = {
        LAST_MOVE: finance_methods.last_move,
        OPPOSITE: finance_methods.opposite,
        LOGISTIC: logistic,
    }
    answers = []
    for seed in range(SEEDS):
        said = tried(*walked(0, seed, days=2000, train_days=500), learners, seed=seed)
        answers.append({one.answer for one in said.values()})
    assert sum("yes" in found for found in answers) <= AT_MOST_YES_ON_A_RANDOM_WALK
    assert sum("cannot tell" in found for found in answers) > SEEDS / 2


@pytest.mark.parametrize("tails", [3, 1000])
def test_the_sharpe_ratio_of_a_correlation_is_that_of_trading_on_it(tails):
    """With normal and with heavy tails, half and two thirds of the days rising."""
    chance = np.random.default_rng(5)
    size = np.abs(chance.standard_t(tails, size=1_000_000)) * 0.01
    for rising in (0.5, 0.6):
        rose = chance.random(len(size)) < rising
        known = chance.random(len(size)) < 0.06
        guess = np.where(known, rose, chance.random(len(size)) < 0.5)
        moves = np.where(rose, size, -size)
        gains = np.where(guess, moves, -moves)
        mcc = matthews_corrcoef(rose[:200_000], guess[:200_000])
        expected = gains.mean() / gains.std() * np.sqrt(252)
        assert verdict.sharpe(0.06, moves) == pytest.approx(expected, abs=0.05)
        assert mcc == pytest.approx(0.06, abs=0.01)


def of_seeds(examples, cuts, said):
    rows = walk_forward.rows_asked(cuts)
    own = Answer(walk_forward.average(said, [1] * len(said)), 0, 0.0,
                 trainings=dict(enumerate(said)))  # fmt: skip
    other = Answer(walk_forward.walk(examples, cuts, majority, embargo_days=EMBARGO), 0, 0.0)
    return rows, own, other, finance_seeds.scores(examples, rows, {OWN: own, MAJORITY: other})


def test_intervals_cover_the_training_seeds():
    examples, cuts = walked(-0.2, 0, days=2000, train_days=500)
    walk = partial(walk_forward.walk, examples, cuts, embargo_days=EMBARGO)
    good, *poor = (walk(Coin("", seed, knows=0.7 * (seed == 0))) for seed in range(3))
    rows, own, other, (mixed, differences) = of_seeds(examples, cuts, [good, *poor])
    gold = examples.labels_of(rows)
    found = mixed["test/mcc"]
    assert found.value == pytest.approx(matthews_corrcoef(gold, own.said.labels))
    assert "blocks of 20 trading days and 3 training seeds" in found.how
    kept = np.arange(len(rows))
    one = finance_scores._scores(examples, rows, kept, own.said.labels)["test/mcc"]
    assert found.high - found.low > 1.2 * (one.high - one.low)
    assert differences[MAJORITY]["test/accuracy"].value == pytest.approx(
        mixed["test/accuracy"].value - accuracy_score(gold, other.said.labels)
    )
    *_, (equal, _) = of_seeds(examples, cuts, [own.said] * 3)
    for name, metric in equal.items():
        alone = finance_scores._scores(examples, rows, kept, own.said.labels)[name]
        assert (metric.value, metric.low, metric.high) == (alone.value, alone.low, alone.high)


def test_a_mean_of_trainings_is_above_the_mean_of_their_limits():
    said = [
        Said(np.array([[0.4, 0.6], [0.3, 0.7]]), np.array([0.5, 0.75])),
        Said(np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([0.5, 0.75])),
    ]
    assert walk_forward.average(said, [1, 1]).labels == ["down", "up"]
    assert walk_forward.average(said, [2, 0]).labels == said[0].labels == ["up", "down"]


def test_headline_follows_from_the_items(ran):
    rows = ran.items[ran.items["method"] == ran.method]
    gold, said = ([cell[0] for cell in rows[name]] for name in ("gold", "predicted"))
    assert ran.metrics["test/mcc"].value == pytest.approx(matthews_corrcoef(gold, said))
    assert ran.metrics["test/accuracy"].value == pytest.approx(accuracy_score(gold, said))
    macro = f1_score(gold, said, average="macro", zero_division=0)
    assert ran.metrics["test/macro_f1"].value == pytest.approx(macro)
    assert ran.metrics["test/mcc"].n == len(rows)
    assert "2 training seeds" in ran.metrics["test/accuracy"].how
    rows = ran.items[ran.items["method"] == LOGISTIC]
    right = (rows["gold"].str[0] == rows["predicted"].str[0]).to_numpy()
    blocks = [right[(rows["cluster"] == block).to_numpy()] for block in rows["cluster"].unique()]
    chance = np.random.default_rng(7)
    drawn = [
        np.concatenate([blocks[place] for place in places]).mean()
        for places in chance.integers(len(blocks), size=(1000, len(blocks)))
    ]
    metric = ran.baselines[LOGISTIC]["test/accuracy"]
    bounds = (metric.low, metric.high)
    assert bounds == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.015)
    other = ran.items[ran.items["method"] == MAJORITY]
    theirs = accuracy_score(gold, [cell[0] for cell in other["predicted"]])
    assert ran.comparisons[MAJORITY]["test/accuracy"].value == pytest.approx(
        accuracy_score(gold, said) - theirs
    )


def test_all_methods_answer_for_the_same_days(ran):
    groups = dict(iter(ran.items.groupby("method")))
    assert set(groups) == {OWN, PLACEBO, LAST_MOVE, OPPOSITE, LOGISTIC, MAJORITY}
    own = groups[OWN]
    for part in groups.values():
        assert part["item"].tolist() == own["item"].tolist()
        assert part["cluster"].tolist() == own["cluster"].tolist()
    assert own["item"].iloc[0] == "test/tiny_market/2020-08-20"
    assert groups[LAST_MOVE]["loss"].isna().all()
    assert own["loss"].notna().all()
    assert own["cluster"].value_counts().max() == walk_forward.BLOCK_DAYS


def test_last_move_repeats_the_day(ran):
    part = ran.items[ran.items["method"] == LAST_MOVE]
    rises = tuple(market_words.words().rises)
    for text, said in zip(part["input"], part["predicted"], strict=True):
        assert (said[0] == "up") == text[0].removesuffix(".").endswith(rises)
    opposite = ran.items[ran.items["method"] == OPPOSITE]
    for one, other in zip(part["predicted"], opposite["predicted"], strict=True):
        assert {one[0], other[0]} == {"up", "down"}
    mcc = ran.baselines[OPPOSITE]["test/mcc"].value
    assert mcc == -ran.baselines[LAST_MOVE]["test/mcc"].value


def test_figures_and_tables_say_what_the_numbers_say(ran):
    for figure in (figures.edges(ran), figures.folds(ran), figures.last_words(ran)):
        assert figure.png.startswith(b"\x89PNG")
        assert figure.caption.endswith(".")
    said = tables.verdict(ran).body
    assert "12 blocks of days are too few to decide by" in said
    assert "No method shows an edge" in said
    assert "neither shown nor excluded for: this encoder, trained like this, last move" in said
    assert "4 methods were judged. Costs are not counted." in said
    assert set(ran.tables["verdict"]["seeds"]) == {"0", "1"}
    assert '<th scope="row">learned from</th><td>2020-03-30</td>' in tables.folds(ran).body
    sure = Metric(value=0.1, low=0.05, high=0.2, n=9, how="bootstrap")
    shown = ran.model_copy(update={"metrics": {**ran.metrics, "test/mcc": sure}})
    assert figures.edges(shown).caption.startswith(f"Intervals that lie above 0: {OWN}; around 0:")
    bare = sure.model_copy(update={"low": None, "high": None})
    shown = ran.model_copy(update={"metrics": {**ran.metrics, "test/mcc": bare}})
    said = figures.edges(shown).caption
    assert "Without an interval, as it says the same on all days: fine-tuned encoder" in said
    assert "Intervals that lie around 0: last move, opposite of the last move" in said


def test_a_method_that_says_the_same_of_every_day_is_not_judged_for_too_few_blocks():
    """Its MCC is 0 in every resample, and so has no interval, however many the blocks are."""
    examples, cuts = walked(0, 0, days=2000, train_days=500)
    found = judged(examples, cuts, lambda *_: lambda asked: np.tile([0.4, 0.6], (len(asked), 1)))
    assert found.answer == "cannot tell"
    assert found.reason == "Every day got the same answer, so nothing can be told."


def write(path, days: int, *, seed: int = 0, columns: str = "date,price") -> str:
    found = market.generated(days, edge=0, seed=seed)
    rows = (f"{day},{price:.4f}" for day, price in zip(found.days, found.prices, strict=True))
    path.write_text("\n".join([columns, *rows]))
    return str(path)


def test_markets_of_ones_own_are_cut_on_one_date_and_share_blocks(tmp_path):
    one = write(tmp_path / "one.csv", 500, columns="when,close")
    two = write(tmp_path / "two.csv", 420, seed=1, columns="when,close")
    config = finance.Config.check(
        tasks.TASKS["finance"].SMOKE
        | {"dataset": f"{one}, {two}", "date_column": "when", "price_column": "close"}
    )
    data = finance.load_data(config)
    said = data.describe().splitlines()
    assert all(said.count(issue.describe()) == 1 for issue in data.data_issues.values())
    cuts = walk_forward.folds(data.examples, 2, train_days=100, embargo_days=3)
    rows = walk_forward.rows_asked(cuts)
    days = data.examples.known_at[rows]
    blocks = walk_forward.blocks(data.examples, rows)
    for day in days[:40]:
        assert len(set(blocks[days == day].tolist())) == 1
    assert {name.split("/")[0] for name in data.examples.names(rows)} == {"one", "two"}
    by_market = finance_scores.by_market(data.examples, rows, {OWN: ["up"] * len(rows)})
    assert set(by_market[OWN]) == {"one/accuracy", "one/mcc", "two/accuracy", "two/mcc"}


def test_too_few_days_say_how_many_are_needed(tmp_path):
    config = finance.Config.check(
        tasks.TASKS["finance"].SMOKE
        | {"dataset": write(tmp_path / "short.csv", 200), "train_days": 100}
    )
    examples = finance.load_data(config).examples
    with pytest.raises(DataError, match="at least 207 days"):
        walk_forward.folds(examples, 2, train_days=100, embargo_days=3)
    longer = finance.load_data(
        config.model_copy(update={"dataset": write(tmp_path / "enough.csv", 207)})
    )
    assert len(walk_forward.folds(longer.examples, 2, train_days=100, embargo_days=3)) == 2


@pytest.mark.parametrize("dataset", ["", "tiny_market, data/fixtures/tiny_market", "test.csv"])
def test_markets_need_names_of_their_own(dataset):
    with pytest.raises(ParameterError, match="dataset="):
        finance.load_data(finance.Config.check(tasks.TASKS["finance"].SMOKE | {"dataset": dataset}))


def test_a_missing_column_is_named(tmp_path):
    path = write(tmp_path / "prices.csv", 200, columns="date,close")
    with pytest.raises(DataError, match="no column 'price'; its columns: date, close"):
        finance.load_data(finance.Config.check(tasks.TASKS["finance"].SMOKE | {"dataset": path}))


def test_a_market_that_only_rises_and_one_that_rests_are_counted(tmp_path):
    prices = 100 * np.exp(np.cumsum(np.random.default_rng(0).uniform(0.001, 0.02, 400)))
    prices[300] = prices[299]
    days = market.generated(400, edge=0, seed=0).days
    rows = (f"{day},{price!r}" for day, price in zip(days, prices.tolist(), strict=True))
    (tmp_path / "rising.csv").write_text("\n".join(["date,price", *rows]))
    config = finance.Config.check(
        tasks.TASKS["finance"].SMOKE | {"dataset": str(tmp_path / "rising.csv")}
    )
    data = finance.load_data(config)
    assert data.data_issues["unmoved_days"].count == 1
    assert set(data.examples.labels) == {"up"}
    cuts = walk_forward.folds(data.examples, 2, train_days=100, embargo_days=3)
    found = walk_forward.walk(data.examples, cuts, logistic, embargo_days=3)
    assert (found.probabilities == [0, 1]).all()
    assert set(found.labels) == {"up"}
