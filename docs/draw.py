"""Draw the README's pictures from reports of the default parameters: python docs/draw.py."""

from pathlib import Path

from workbench import figures, tasks
from workbench.core import paths
from workbench.record.result import RESULT, Result

PICTURES = {
    "pretraining": figures.bits_per_byte,
    "fine_tuning": figures.learning_curve,
    "prompting": figures.accuracy_by_shots,
    "multiple_choice": figures.choice_lengths,
    "prompted_ner": lambda result: figures.methods(result, "test/entity_f1"),
    "contest": figures.overtaking,
    "finance": figures.edges,
    "ner": figures.f1_by_type,
    "language_transfer": figures.overtaking,
    "recommendation": lambda result: figures.methods(result, "test/ndcg_at_10"),
}
"""Task -> the figure that answers its question."""
FOLDER = Path(__file__).parent / "figures"


def main() -> None:
    """Write a picture a task, and print its caption; run `make run-all` before."""
    for record in sorted((paths.reports() / "runs").glob(f"*/{RESULT}")):
        result = Result.read(record.parent)
        default = tasks.find(result.task).Config().model_dump(mode="json")
        if result.task in PICTURES and result.parameters == default:
            figure = PICTURES[result.task](result)
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{result.task}.png").write_bytes(figure.png)
            print(f"{result.task}: {figure.caption}")


if __name__ == "__main__":
    main()
