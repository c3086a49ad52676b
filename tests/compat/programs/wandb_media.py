import numpy as np
import wandb

run = wandb.init(project="media")
rng = np.random.default_rng(0)
picture = (rng.random((8, 8, 3)) * 255).astype(np.uint8)
mask = np.zeros((8, 8), dtype=np.uint8)
box = {
    "position": {"minX": 0.1, "maxX": 0.5, "minY": 0.2, "maxY": 0.6},
    "class_id": 1,
    "scores": {"acc": 0.9},
}
run.log({"one": wandb.Image(picture, caption="a caption")}, step=3)
run.log({"several": [wandb.Image(picture), wandb.Image(picture[..., 0])]}, step=4)
run.log(
    {
        "boxed": wandb.Image(
            picture,
            boxes={"predictions": {"box_data": [box], "class_labels": {1: "cat"}}},
            masks={"truth": {"mask_data": mask, "class_labels": {0: "sky"}}},
        )
    }
)
run.log(
    {
        "sound": wandb.Audio(np.sin(np.arange(800) / 10), sample_rate=8000, caption="sine"),
        "video": wandb.Video((rng.random((3, 3, 8, 8)) * 255).astype(np.uint8), fps=4),
        "page": wandb.Html("<b>bold</b>"),
        "cloud": wandb.Object3D(rng.random((5, 6))),
        "weights": wandb.Histogram([1.0, 2.0, 2.0, 3.0]),
        "counted": wandb.Histogram(np_histogram=np.histogram([1, 2, 3], bins=3)),
        "text": "a note",
        "vector": np.arange(100.0),
        "short": [1, 2, 3],
    }
)
run.log({"rows": wandb.Table(columns=["a", "b"], data=[[1, 2.5], [3, 4.5]])})
xs = [[x, x**2] for x in range(4)]
table = wandb.Table(data=xs, columns=["x", "y"])
run.log(
    {
        "line": wandb.plot.line(table, "x", "y", title="Squares"),
        "scatter": wandb.plot.scatter(table, "x", "y"),
        "bars": wandb.plot.bar(table, "x", "y"),
        "hist": wandb.plot.histogram(table, "y"),
        "series": wandb.plot.line_series(xs=[0, 1], ys=[[1, 2], [3, 4]], keys=["p", "q"]),
    }
)
run.finish()
