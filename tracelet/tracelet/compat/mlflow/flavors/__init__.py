"""Models of different libraries, logged as artifacts: ``mlflow.sklearn``, ``mlflow.pytorch``, ..."""
