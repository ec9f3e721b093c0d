"""The recommendation task: one moment splits all users, ranks are right, numbers recompute."""

import dataclasses

import numpy as np
import pandas
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import ndcg_score

from workbench import figures, flow, tables, tasks
from workbench.core.errors import DataError
from workbench.data import interactions
from workbench.methods import measures
from workbench.tasks.recommendation import questions, rankers
from workbench.tasks.recommendation import run as recommendation


@pytest.fixture(scope="module")
def ran():
    config = recommendation.Config.check(tasks.TASKS["recommendation"].SMOKE)
    data = recommendation.load_data(config)
    return flow.run(config, recommendation.load_model(config), data), data


@pytest.fixture(scope="module")
def films():
    return interactions.load("tiny_films")


def test_training_ends_before_all_questions_begin(films):
    asked = questions.split(films, 0.2)
    trained = sum(map(len, asked.past.histories))
    moment = films.time[trained]
    assert (films.time[:trained] < moment).all()
    later = {(u, i) for u, i, t in zip(films.user, films.item, films.time, strict=True)
             if t >= moment}  # fmt: skip
    for place, user in enumerate(asked.user):
        before = asked.past.histories[user]
        shown = asked.histories[place][len(before) :]
        assert asked.histories[place][: len(before)] == before
        assert len(asked.histories[place]) >= questions.REVEALED
        assert {(user, item) for item in (*shown, *asked.targets[place])} <= later
        assert not asked.targets[place] & set(asked.histories[place])
        assert asked.new_user[place] == (not before)
    assert asked.new_items
    assert not asked.new_items & {item for own in asked.past.histories for item in own}


def test_events_of_one_moment_stay_on_one_side(tmp_path):
    rows = [f"u{n % 4},i{n // 4},{n // 8}" for n in range(64)]
    (tmp_path / "events.csv").write_text("user,item,time\n" + "\n".join(rows))
    (tmp_path / "items.csv").write_text("item,text\n" + "".join(f"i{n},t {n}\n" for n in range(16)))
    data = interactions.load(str(tmp_path / "events.csv"), items=str(tmp_path / "items.csv"))
    asked = questions.split(data, 0.1)
    trained = sum(map(len, asked.past.histories))
    assert data.time[trained - 1] < data.time[trained]
    with pytest.raises(DataError, match="no moment"):
        questions.split(data, 0.999)


def test_lists_leave_out_what_was_taken_and_score_as_scikit_learn_does(films):
    asked = questions.split(films, 0.2)
    rank = rankers.neighbours(asked.past)
    top = questions.recommend(rank, asked.histories)
    found = measures.hits(top, asked.targets)
    gains = measures.ndcg(found, asked.targets)
    scores = rank(asked.histories)
    for place, history in enumerate(asked.histories):
        assert not set(top[place]) & set(history)
        assert len(set(top[place])) == questions.TOP
        left = [item for item in range(len(films.items)) if item not in history]
        order = np.zeros(len(left))
        order[[left.index(item) for item in top[place]]] = range(questions.TOP, 0, -1)
        truth = [item in asked.targets[place] for item in left]
        expected = ndcg_score([truth], [order], k=questions.TOP)
        assert gains[place] == pytest.approx(expected)
        best = max(scores[place, item] for item in left)
        assert scores[place, top[place][0]] == best


def test_a_neighbour_is_what_the_same_users_took():
    past = rankers.Past([[0, 1], [0, 1], [2, 3], [2, 3], [0, 1, 4]], np.array([1]), 5)
    scores = rankers.neighbours(past)([[0]])[0]
    assert scores.argmax() == 1
    assert scores[1] == pytest.approx(3 / (3 + rankers.SHRINK))
    assert scores[2] == scores[3] == 0


def test_factors_solve_the_weighted_least_squares():
    chance = np.random.default_rng(0)
    fixed = chance.normal(size=(6, 3))
    matrix = csr_array(np.array([[1.0, 0, 0, 1, 0, 0]]))
    found = rankers._solve(matrix, fixed)[0]
    wanted, weights = matrix.toarray()[0], 1 + rankers.CONFIDENCE * matrix.toarray()[0]

    def loss(factors):
        apart = wanted - fixed @ factors
        return (weights * apart**2).sum() + rankers.PENALTY * (factors**2).sum()

    for axis in np.eye(3):
        assert loss(found) < min(loss(found + 1e-3 * axis), loss(found - 1e-3 * axis))


def test_fusion_puts_first_what_both_rankings_do():
    one = lambda _: np.array([[3.0, 2.0, 1.0]])  # noqa: E731
    other = lambda _: np.array([[9.0, 0.0, 5.0]])  # noqa: E731
    assert rankers.combined([one, other])([[]])[0].tolist() == pytest.approx(
        [2 / 61, 1 / 62 + 1 / 63, 1 / 63 + 1 / 62]
    )
    taken = rankers.combined([one, other])([[0]])[0]
    assert taken[1] == pytest.approx(1 / 61 + 1 / 62), "what is taken holds no place"
    assert taken.argmin() == 0


def test_numbers_follow_from_the_items(ran):
    result, data = ran
    items = result.items
    for method, found in {result.method: result.metrics, **result.baselines}.items():
        own = items[items["method"] == method]
        right = [list(g) == list(p) for g, p in zip(own["gold"], own["predicted"], strict=True)]
        metric = found["test/hit_rate_at_10"]
        assert metric.value == pytest.approx(np.mean(right))
        assert metric.n == len(own) == result.tables["counts"]["users"]
    names = set(items["item"])
    assert names <= {f"test/{user}" for user in data.users}
    for method, differences in result.comparisons.items():
        apart = differences["test/ndcg_at_10"].value
        ours, theirs = result.metrics, result.baselines[method]
        assert apart == pytest.approx(
            ours["test/ndcg_at_10"].value - theirs["test/ndcg_at_10"].value
        )


def test_costs_are_counted_once(ran):
    result, _ = ran
    costs = result.tables["methods"]
    assert set(costs) == {result.method, *result.baselines}
    assert result.cost.train_seconds <= result.cost.seconds
    assert costs[recommendation.FACTORS]["trainable"] > 0
    assert costs[result.method]["trainable"] == sum(
        costs[name]["trainable"] for name in (recommendation.FACTORS, recommendation.TUNED)
    )


def test_text_reaches_new_items_and_behaviour_alone_does_not(ran):
    result, _ = ran
    name = "test/hit_rate_at_10_new_items"
    for method in (recommendation.POPULAR, recommendation.NEIGHBOURS):
        assert result.baselines[method][name].value == 0
    assert result.baselines[recommendation.TEXT][name].value > 0


def test_the_sampled_protocol_flatters(films):
    data = interactions.load("movielens100k")
    makers = recommendation._behaviour(recommendation.Config())
    found = questions.held_out(data, makers, 0)
    popular, factors = found[recommendation.POPULAR], found[recommendation.FACTORS]
    assert popular["sampled"] > 0.25, "of 10 in 100 by chance one in ten"
    assert factors["sampled"] > popular["sampled"]
    assert all(own["sampled"] > 2 * own["whole"] for own in found.values())
    assert questions.held_out(films, makers, 0) == {}, "fewer than 99 others"


def test_pages_show_every_method(ran):
    result, _ = ran
    body = tables.recommenders(result).body
    for method in (result.method, *result.baselines):
        assert method in body
    assert "coverage" in body
    assert "Not asked" in tables.sampled(result).body, "a catalogue of 40"
    held = {method: {"sampled": 0.5, "whole": 0.25} for method in result.baselines}
    asked = result.model_copy(update={"tables": result.tables | {"held_out": held}})
    assert "0.500" in tables.sampled(asked).body
    assert "0.250" in tables.sampled(asked).body
    assert "popularity" in figures.methods(result, "test/ndcg_at_10").caption


def test_own_tables_are_read_and_what_is_left_out_is_counted(tmp_path):
    events = "user;item;time\n" + "".join(
        f"u{n % 5};i{n % 7};2026-01-{1 + n % 28:02}\n" for n in range(60)
    )
    (tmp_path / "events.csv").write_text(events + "u1;unknown;2026-02-01\nu1;;2026-02-01\n")
    (tmp_path / "items.csv").write_text(
        "item,text\n" + "".join(f"i{n},film {n}\n" for n in range(7))
    )
    data = interactions.load(str(tmp_path / "events.csv"), items=str(tmp_path / "items.csv"))
    assert len(data.user) == 35
    assert data.data_issues["again"].count == 25
    assert data.data_issues["no_text"].count == 1
    assert data.data_issues["empty"].count == 1
    assert (np.diff(data.time) >= 0).all()
    assert "2026-01-01" in data.describe()


@pytest.mark.parametrize(
    ("events", "items", "says"),
    [
        ("user,item,time\na,1,3\na,1,soon\n", "item,text\n1,x\n", "the time 'soon'"),
        ("user,item,time\na,1,1\n", "item,text\n1,x\n1,y\n", "two texts for the item '1'"),
        ("user,item,time\na,2,1\n", "item,text\n1,x\n", "no event of an item that has a text"),
        ("who,item,time\na,1,1\n", "item,text\n1,x\n", "no column 'user'"),
    ],
)
def test_what_can_not_be_read_is_refused_in_a_sentence(tmp_path, events, items, says):
    (tmp_path / "events.csv").write_text(events)
    (tmp_path / "items.csv").write_text(items)
    with pytest.raises(DataError, match=says):
        interactions.load(str(tmp_path / "events.csv"), items=str(tmp_path / "items.csv"))
    with pytest.raises(DataError, match="no texts of items"):
        interactions.load(str(tmp_path / "events.csv"))
    with pytest.raises(DataError, match="has its own texts"):
        interactions.load("tiny_films", items=str(tmp_path / "items.csv"))


def test_dates_of_parquet_are_seconds(tmp_path):
    days = pandas.date_range("2026-01-01", periods=40)
    rows = {"user": ["a", "b"] * 20, "item": [f"i{n // 2}" for n in range(40)], "time": days}
    pandas.DataFrame(rows).to_parquet(tmp_path / "events.parquet")
    texts = {"item": [f"i{n}" for n in range(20)], "text": [f"t {n}" for n in range(20)]}
    pandas.DataFrame(texts).to_parquet(tmp_path / "items.parquet")
    data = interactions.load(
        str(tmp_path / "events.parquet"), items=str(tmp_path / "items.parquet")
    )
    assert data.time[1] - data.time[0] == 86400
    assert "from 2026-01-01 to 2026-02-09" in data.describe()


def test_catalogues_of_too_few_items_are_refused(films):
    few = dataclasses.replace(films, items=films.items[:10])
    with pytest.raises(DataError, match="10 items"):
        questions.split(few, 0.2)
