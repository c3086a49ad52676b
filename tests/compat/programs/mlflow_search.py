import mlflow


def objective(lr, depth):
    return (lr - 0.1) ** 2 + depth


mlflow.set_experiment("search")
with mlflow.start_run(run_name="parent") as parent:
    mlflow.log_param("trials", 4)
    for lr in (0.05, 0.1):
        for depth in (1, 2):
            with mlflow.start_run(run_name=f"child-{lr}-{depth}", nested=True) as child:
                mlflow.log_params({"lr": lr, "depth": depth})
                mlflow.log_metric("error", objective(lr, depth))
    assert mlflow.active_run().info.run_id == parent.info.run_id
    try:
        mlflow.start_run()
    except Exception as error:
        print(error)
    best = mlflow.search_runs(
        experiment_names=["search"],
        filter_string="metrics.error < 10 and params.depth = '1'",
        order_by=["metrics.error ASC"],
        output_format="list",
    )
    assert len(best) == 2, best
    mlflow.log_metric("best_error", best[0].data.metrics["error"])
    mlflow.set_tag("best_run", best[0].info.run_id)
assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
print("best", best[0].info.run_name, best[0].data.params["lr"])
for text in ("metrics.error <", "metric.error < 1 or x = 1", "things.a = 1"):
    try:
        mlflow.search_runs(filter_string=text, output_format="list")
    except mlflow.MlflowException as error:
        print("refused", error)
