"""Write the golden templates anew, to be looked at in the difference."""

import json

from deploy.template.template import template
from model.files import write_whole
from tests.deploy.configs import KINDS
from tests.deploy.test_template import GOLDEN

if __name__ == "__main__":
    for kind, config in KINDS.items():
        write_whole(GOLDEN / f"{kind}.json", json.dumps(template(config), indent=2) + "\n")
