import mlflow
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

mlflow.sklearn.autolog(max_tuning_runs=3)
data = load_iris()
with mlflow.start_run(run_name="grid"):
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3, 4]}, cv=3)
    search.fit(data.data, data.target)
print("best", search.best_params_["max_depth"], search.best_score_)
