import mlflow
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_squared_error

mlflow.autolog()
mlflow.set_experiment("diabetes")
data = load_diabetes()
model = RandomForestRegressor(n_estimators=5, max_depth=3, random_state=0)
model.fit(data.data, data.target)
run = mlflow.last_active_run()
print("mse", mean_squared_error(data.target, model.predict(data.data)))

loaded = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
assert (loaded.predict(data.data) == model.predict(data.data)).all()

with mlflow.start_run(run_name="classifier") as run:
    classifier = LogisticRegression(max_iter=500).fit(data.data, data.target > 140)
    mlflow.log_metric("mine", 1.0)
print("accuracy", classifier.score(data.data, data.target > 140))
mlflow.sklearn.autolog(disable=True)
LogisticRegression().fit(data.data, data.target > 140)
assert mlflow.active_run() is None
