import mlflow
import mlflow.pyfunc
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier


class AddN(mlflow.pyfunc.PythonModel):
    def __init__(self, n):
        self.n = n

    def predict(self, context, model_input, params=None):
        return [value + self.n for value in model_input]


data = load_iris()
model = KNeighborsClassifier(3).fit(data.data, data.target)
signature = infer_signature(data.data, model.predict(data.data))
with mlflow.start_run(run_name="models") as run:
    info = mlflow.sklearn.log_model(
        model, artifact_path="model", signature=signature, registered_model_name="iris"
    )
    named = mlflow.sklearn.log_model(sk_model=model, name="named", input_example=data.data[:2])
    own = mlflow.pyfunc.log_model(name="adder", python_model=AddN(5))
assert info.model_uri == f"runs:/{run.info.run_id}/model"
assert (mlflow.sklearn.load_model(info.model_uri).predict(data.data) == model.predict(data.data)).all()
assert (mlflow.pyfunc.load_model("models:/iris/1").predict(data.data) == model.predict(data.data)).all()
assert mlflow.pyfunc.load_model(own.model_uri).predict([1, 2]) == [6, 7]
mlflow.sklearn.save_model(model, "saved")
assert mlflow.sklearn.load_model("saved").n_neighbors == 3
try:
    mlflow.sklearn.load_model(own.model_uri)
except mlflow.MlflowException as error:
    print(error)
