"""Tables of recommenders: what their lists hold, and what another protocol says of them."""

from workbench.display.html import Html, note, table
from workbench.record.result import Result

HIT = "test/hit_rate_at_10"
SHOWN = {
    "test/ndcg_at_10": "NDCG at 10",
    "test/hit_rate_at_10": "hit rate at 10",
    "test/ndcg_at_10_known_users": "NDCG, known users",
    "test/ndcg_at_10_new_users": "NDCG, new users",
    "test/hit_rate_at_10_new_items": "hit rate, new items",
}


def recommenders(result: Result) -> Html:
    """A row for each method: accuracy for all, known and new users and new items; its lists."""
    names = [name for name in SHOWN if name in result.metrics]
    heads = ["method", *(SHOWN[name] for name in names), "coverage", "diversity"]
    lines = []
    for method, found in {**result.baselines, result.method: result.metrics}.items():
        own = " (own)" if method == result.method else ""
        lists = result.tables["lists"][method]
        cells = [f"{lists['coverage']:.1%}", f"{lists['diversity']:.3f}"]
        lines.append([f"{method}{own}", *(str(found[name]) for name in names), *cells])
    counts = result.tables["counts"]
    text = (
        f"{counts['users']:,} users, {counts['new_users']:,} of them new after the split; "
        f"{counts['new_items']:,} items have no event before it. In brackets 95 % intervals over "
        "users. New items: whether one of them that the user took is among the ten, for users who "
        "took one. Coverage is the fraction of the catalogue recommended to somebody; diversity 1 "
        "less the mean cosine of two texts in a list."
    )
    return Html(table(heads, lines) + note(text))


def sampled(result: Result) -> Html:
    """Hit rates of one held-out item among 99 drawn ones and in the whole catalogue."""
    if not result.tables["held_out"]:
        return Html(note("Not asked: no user leaves 99 items untaken to draw wrong ones from."))
    lines = [
        [name, f"{own['sampled']:.3f}", f"{own['whole']:.3f}", str(result.baselines[name][HIT])]
        for name, own in result.tables["held_out"].items()
    ]
    heads = ["method", "last item, among 99 drawn", "last item, whole catalogue", "this page"]
    text = (
        "Hit rate at 10. First the protocol that is often published: each user's last item is "
        "asked for, other users' later events train, and it is ranked among 99 items drawn from "
        "those that the user never took. Then the same item among all that the user had not taken: "
        "only the candidates differ. Last the numbers of this page, of other users and of several "
        "items each. Sampled ranks may order methods otherwise (Krichene and Rendle 2020, "
        '"On Sampled Metrics for Item Recommendation").'
    )
    return Html(table(heads, lines) + note(text))
