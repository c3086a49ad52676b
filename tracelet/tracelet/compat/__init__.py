"""What programs call in other trackers, recording into tracelet: drop-ins for W&B and MLflow, and the first API."""
