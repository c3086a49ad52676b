import mlflow

mlflow.set_tracking_uri("http://127.0.0.1:8080")
mlflow.set_experiment("MLflow Quickstart")

params = {"solver": "lbfgs", "max_iter": 1000, "multi_class": "auto", "random_state": 8888, "penalty": None}
with mlflow.start_run():
    mlflow.log_params(params)
    mlflow.log_metric("accuracy", 0.93)
    for epoch in range(5):
        mlflow.log_metric("loss", 1 / (epoch + 1), step=epoch)
    mlflow.set_tag("Training Info", "Basic LR model for iris data")
    with open("output.txt", "w") as file:
        file.write("Hello world!")
    mlflow.log_artifact("output.txt")
print("tracking", mlflow.get_tracking_uri())
