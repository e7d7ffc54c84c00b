"""Write the golden templates and requests anew, to be looked at in the difference."""

import json
from dataclasses import asdict

from deploy.opensearch.requests import console, requests
from deploy.template.template import template
from deploy.template.training import training_job
from model.files import write_whole
from tests.deploy.configs import KINDS, TRAINING
from tests.deploy.opensearch import kinds, test_requests
from tests.deploy.test_template import GOLDEN


def write(path, value):
    write_whole(path, json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    for kind, config in KINDS.items():
        write(GOLDEN / f"{kind}.json", template(config))
    write(GOLDEN / "training-job.json", training_job(TRAINING))
    for kind, connection in kinds.KINDS.items():
        write(test_requests.GOLDEN / f"{kind}.json", [asdict(one) for one in requests(connection)])
    write_whole(test_requests.GOLDEN / "console.txt", console(requests(kinds.DESIGNS)) + "\n")
