"""A backend that keeps a ledger: one line of CSV for everything that it is told."""

import csv
import os

from tracelet.core.plugins import BackendPlugin, PluginMetadata


class Ledger(BackendPlugin):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata(
            name="ledger",
            version="1.2.0",
            plugin_type="backend",
            entry_point="tracelet_ledger.backend.Ledger",
            description="A ledger of plain CSV",
            author="A Stranger",
            dependencies=["packaging>=20; python_version >= '3.8'"],
            config_schema={
                "path": {"type": "string", "required": True},
                "delimiter": {"type": "string", "default": ","},
                "digits": {"type": "integer", "default": 17},
                "api_key": {"type": "string", "secret": True},
            },
            capabilities={"offline"},
        )

    def initialize(self, config):
        self.lines = 0
        self.file = open(config["path"], "a", newline="", encoding="utf-8")  # noqa: SIM115 (closed in stop)
        self.ledger = csv.writer(self.file, delimiter=config["delimiter"])
        self.write("initialize", "digits", config["digits"])

    def start(self):
        self.write("start")

    def stop(self):
        self.write("stop")
        self.file.close()

    def get_status(self):
        return {"lines": self.lines}

    def log_metric(self, name, value, iteration=None):
        self.write("metric", name, f"{value:.{self.config['digits']}g}", iteration)

    def log_params(self, params):
        for name, value in params.items():
            self.write("param", name, value)

    def log_artifact(self, local_path, artifact_path=None):
        name = os.path.join(artifact_path or "", os.path.basename(local_path))
        if os.path.isfile(local_path):
            self.write("artifact", name, os.path.getsize(local_path))
        for folder, _, files in os.walk(local_path):
            for file in (os.path.join(folder, file) for file in files):
                inside = os.path.join(name, os.path.relpath(file, local_path))
                self.write("artifact", inside, os.path.getsize(file))

    def write(self, what, name="", value="", step=""):
        self.ledger.writerow([what, name, value, "" if step is None else step])
        self.file.flush()
        self.lines += 1
