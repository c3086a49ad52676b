import multiprocessing
import subprocess
import sys

import wandb
import wandb.plot
import wandb.sdk
from wandb.sdk.wandb_run import Run


def worker(rank):
    import wandb

    with wandb.init(project="ranks", group="job", name=f"rank-{rank}") as run:
        run.log({"rank": rank})


if __name__ == "__main__":
    run = wandb.init(project="parent", name="parent")
    assert isinstance(run, Run)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=worker, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    code = "import wandb, importlib.metadata as m; r = wandb.init(project='child', name='sub'); r.log({'a': 1}); print(m.version('wandb'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == wandb.__version__, done
    try:
        import wandb.proto
    except ImportError as error:
        print(error)
    run.log({"done": 1})
